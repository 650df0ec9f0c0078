"""GET of a collection: filters and pages."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams

from control.admin.references import decode
from control.admin.reply import NOT_FOUND, Reply, error
from control.admin.resource import Resource
from control.store.base import Entry

Doc = Mapping[str, Any]

MIN_PAGE_SIZE, MAX_PAGE_SIZE = 10, 500
MAX_PATTERN = 256
# Entries handled between two turns of the loop.
_STEP = 500
_FILTER_FIELDS = ("service_id", "upstream_id")


@dataclass(frozen=True, slots=True)
class Query:
    """What to list: `wanted` must all hold; `page` counts from 1; None for everything in the order of keys."""

    wanted: tuple[Callable[[Doc], bool], ...]
    page: tuple[int, int] | None


def parse_query(params: QueryParams) -> Query | Reply:
    """Read `name`, `label`, `uri`, `filter`, `page` and `page_size` as APISIX does, or the refusal."""
    page, size = _integer(params.get("page")), _integer(params.get("page_size"))
    if size is not None and not MIN_PAGE_SIZE <= size <= MAX_PAGE_SIZE:
        return Reply(400, f"page_size must be between {MIN_PAGE_SIZE} and {MAX_PAGE_SIZE}")
    wanted: list[Callable[[Doc], bool]] = []
    for field, texts in (("name", _name), ("uri", _uris)):
        if field in params:
            try:
                wanted.append(_matcher(params[field], texts))
            except (re.error, ValueError) as problem:
                return error(400, f"invalid argument {field}: {problem}")
    if "label" in params:
        wanted.append(_label_test(params["label"]))
    if "filter" in params:
        exact = dict(parse_qsl(params["filter"], keep_blank_values=True))
        wanted += [_field_test(field, exact[field]) for field in _FILTER_FIELDS if field in exact]
    return Query(tuple(wanted), (max(page, 1), size) if page is not None and size is not None else None)


async def list_entries(resource: Resource, query: Query) -> Reply:
    """Everything of a resource that the query wants; `total` counts what matches, on all pages."""
    entries, _ = await resource.store.range(resource.prefix)
    found: list[Entry] = []
    for number, entry in enumerate(entries):
        if number % _STEP == _STEP - 1:
            await asyncio.sleep(0)
        doc = decode(entry)
        if doc is not None and resource.holds(entry.key) and all(test(doc) for test in query.wanted):
            found.append(entry)
    total = len(found)
    if not total and resource.empty_is_missing:
        return NOT_FOUND
    if query.page is not None:
        page, size = query.page
        found.sort(key=lambda entry: entry.create_revision)
        found = found[(page - 1) * size : page * size]
    body = b'{"list":[%s],"total":%d}' % (b",".join(resource.show(entry) for entry in found), total)
    return Reply(200, body)


def _matcher(pattern: str, texts: Callable[[Doc], Iterable[Any]]) -> Callable[[Doc], bool]:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"longer than {MAX_PATTERN}")
    regex = re.compile(pattern)
    return lambda doc: any(regex.search(text) for text in texts(doc) if isinstance(text, str))


def _name(doc: Doc) -> Iterable[Any]:
    return [doc.get("name")]


def _uris(doc: Doc) -> Iterable[Any]:
    return [doc.get("uri"), *doc.get("uris", ())]


def _label_test(label: str) -> Callable[[Doc], bool]:
    return lambda doc: label in doc.get("labels", {})


def _field_test(field: str, value: str) -> Callable[[Doc], bool]:
    return lambda doc: doc.get(field) == value


def _integer(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"-?[0-9]{1,9}", text):
        return None
    return int(text)
