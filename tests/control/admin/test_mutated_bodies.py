"""Ten thousand bodies, each a good one with something done to it: refused with a name, or stored; never half of it."""

import copy
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from control.admin.audit import AuditLog
from control.store.base import Store
from tests.control.admin.in_process import EXAMPLES, Said, application, ask, put_all

BODIES = 10_000
SEED = 20261123
WORDS = (
    "",
    "x",
    "é\u0000",
    "\U0001f600" * 70,
    "a b",
    "../..",
    "$env://A",
    "\u202e",
    "*",
    "\n",
    "127.0.0.1",
    "-1",
    "x" * 1000,
)
NUMBERS = (0, -1, 1, 0.5, -0.0, 2**31, 2**53, 2**64, -(2**70), 10**300, 1e-300, 65535, 65536, 1e20)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": {}}, [{}], {"a": [1, 2]})
RAW_NUMBERS = (b"1e400", b"-1e999", b"9" * 5000, b"NaN", b"Infinity", b"0x10", b"01", b"1.", b"--1")
# Where in the bytes: what a refusal names when it is no JSON.
BYTE = re.compile(
    r"char \d+|position \d+|column \d+|nested deeper than|greater than the maximum size|out of range|digits|is not JSON"
    r"|wrong type: expected"
)
Path_ = tuple[str | int, ...]


def places(doc: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value inside."""
    items = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from places(item, (*path, name))


def at(doc: Any, path: Path_) -> Any:
    for step in path:
        doc = doc[step]
    return doc


def wrong(rng: random.Random) -> Any:
    kind = rng.choice((WORDS, NUMBERS, OTHERS))
    return copy.deepcopy(rng.choice(kind))  # type: ignore[arg-type]


def replaced(rng: random.Random, doc: Any, path: Path_) -> None:
    at(doc, path[:-1])[path[-1]] = wrong(rng)


def removed(rng: random.Random, doc: Any, path: Path_) -> None:
    del at(doc, path[:-1])[path[-1]]


def added(rng: random.Random, doc: Any, path: Path_) -> None:
    container = at(doc, path[:-1])
    if isinstance(container, list):
        container.insert(rng.randrange(len(container) + 1), wrong(rng))
    else:
        container[rng.choice(("surprise", "id", "plugins", "upstream", "vpc_id", "create_time", "_meta", "é", ""))] = (
            wrong(rng)
        )


def nested(rng: random.Random, doc: Any, path: Path_) -> None:
    value: Any = at(doc, path)
    for _ in range(rng.choice((1, 2, 50, 99, 101, 200))):
        value = {"a": value} if rng.random() < 0.5 else [value]
    at(doc, path[:-1])[path[-1]] = value


def swollen(rng: random.Random, doc: Any, path: Path_) -> None:
    value = at(doc, path)
    if isinstance(value, str):
        value = value * rng.choice((2, 100, 500))
    elif isinstance(value, list):
        value = value * rng.choice((2, 100))
    elif isinstance(value, dict):
        value = {**value, **{f"k{number}": number for number in range(rng.choice((1, 100)))}}
    elif isinstance(value, int | float) and abs(value) < 1e9:
        value = value * 10 ** rng.choice((1, 10, 40))
    at(doc, path[:-1])[path[-1]] = value


def renamed(rng: random.Random, doc: Any, path: Path_) -> None:
    container = at(doc, path[:-1])
    if isinstance(container, dict):
        container[rng.choice((str(path[-1]).upper(), f"{path[-1]} ", f"{path[-1]}s"))] = container.pop(path[-1])


MUTATIONS: tuple[Callable[[random.Random, Any, Path_], None], ...] = (
    replaced,
    removed,
    added,
    nested,
    swollen,
    renamed,
)


def spoilt(rng: random.Random, raw: bytes) -> bytes:
    """JSON text that something happened to."""
    where = rng.randrange(len(raw))
    match rng.randrange(6):
        case 0:
            return raw[:where]
        case 1:
            return (
                raw[:where]
                + rng.choice((b"\xff", b"\xc3", b"\\ud800", b"\x00", b'"', b"}", b",", b"[" * 300))
                + raw[where:]
            )
        case 2:
            # A member twice: the last one counts.
            return b'{"name":1,"name":"n",' + raw[1:]
        case 3:
            number = re.search(rb":(\d+)", raw)
            return raw if number is None else raw[: number.start(1)] + rng.choice(RAW_NUMBERS) + raw[number.end(1) :]
        case 4:
            return raw + rng.choice((b" ", b"\n", b"x", b"{}", b"\x00"))
        case _:
            return rng.choice(
                (b"null", b"[]", b"1", b'"x"', b"[" * 100_000, b'{"a":' * 5000, b" ", b"{", b"{}", b"\xef\xbb\xbf{}")
            )


def bodies() -> Iterator[tuple[str, bytes, set[str]]]:
    """(path, body, every name that stands in it)."""
    rng = random.Random(SEED)
    examples = [(f"{collection}/{id}", doc) for collection, (id, doc) in EXAMPLES.items()]
    for number in range(BODIES):
        path, good = examples[number % len(examples)]
        doc = copy.deepcopy(good)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            if inside := list(islice(places(doc), 500)):
                rng.choice(MUTATIONS)(rng, doc, rng.choice(inside))
        raw = json.dumps(doc, ensure_ascii=rng.random() < 0.5).encode(errors="replace")
        if rng.random() < 0.25:
            raw = spoilt(rng, raw)
        names = {str(step) for inside in (*islice(places(doc), 500), *places(good)) for step in inside}
        yield path, raw, names


@pytest.fixture
async def app(tmp_path: Path, store: Store) -> AsyncIterator[ASGIApp]:
    with AuditLog(str(tmp_path / "audit.log")) as audit:
        yield application(store, audit)


# What APISIX says where a combination of fields is wrong: it names none, and tools compare the text.
APISIX_WORDS = (
    "invalid configuration: then clause did not match",
    "invalid configuration: value should match only one schema, but matches none",
    "invalid configuration: value should match only one schema, but matches both",
)


def names_something(said: Said, names: set[str]) -> bool:
    """The text has the name of a field in it, of this body or of what should have been there, or says which byte."""
    text = said.json.get("error_msg", "")
    if "" in names and text.endswith(("found ", "plugin []")):
        # The field's name is the empty string.
        return True
    if (
        text.startswith(APISIX_WORDS)
        or BYTE.search(text)
        or re.search(r'property "[^"]+"|\["[^"]+|found \S|\[[^\]]+\]|wrong \w+ id|missing \w+', text)
    ):
        return True
    return any(name and name in text for name in names)


async def test_a_body_is_stored_whole_or_refused_by_name(app: ASGIApp, store: Store) -> None:
    await put_all(app)
    _, revision = await store.range("/none/")
    statuses: dict[int, int] = {}
    nameless = []
    for path, raw, names in bodies():
        said = await ask(app, "PUT", path, raw)
        statuses[said.status] = statuses.get(said.status, 0) + 1
        _, now = await store.range("/none/")
        assert (now == revision) == (said.status >= 400), (path, raw[:500], said)
        revision = now
        if said.status >= 500 or (said.status >= 400 and not names_something(said, names)):
            nameless.append((path, said.raw[:300], raw[:300]))
    assert not nameless
    assert sum(statuses.values()) == BODIES
    assert statuses[400] > BODIES / 2 and statuses[200] > BODIES / 50, statuses
