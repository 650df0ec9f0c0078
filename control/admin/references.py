"""References between objects: what one refers to must exist, and what is referred to must stay. Race-free.

Each object that others may refer to has a guard key. Whoever adds a reference puts the guard and compares the object;
whoever removes the object, or a part of it, compares the guard as it was before looking for references.
Of two such transactions side by side, the second fails and starts over.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from control.model.errors import ModelError
from control.model.keys import PREFIXES, USES, is_placeholder, key_of, kind_of
from control.store.base import Compare, Delete, Entry, Put, Store

Doc = dict[str, Any]


class NoParent(ModelError):
    """What the object would stand below is not there: 404."""


@dataclass(frozen=True, slots=True)
class Related:
    """What goes into the transaction that writes an object, beside the object: it is void unless all compares hold."""

    compares: tuple[Compare, ...] = ()
    ops: tuple[Put | Delete, ...] = ()


def guard_of(kind: str, id: str) -> str:
    """The guard key of one object, or of a set of objects with something unique in it."""
    return f"{USES}{kind}/{id}"


async def refer(store: Store, kind: str, id: str, field: str) -> tuple[Entry, Related]:
    """The object that is referred to, and what makes the reference safe. Raises ModelError, as APISIX does."""
    entry = await store.get(key_of(kind, id))
    if entry is None:
        raise ModelError(f"failed to fetch {kind.replace('_', ' ')} info by {field} [{id}], response code: 404")
    return entry, Related((Compare(entry.key, entry.mod_revision),), (Put(guard_of(kind, id), b""),))


async def take_guard(store: Store, guard: str) -> Related:
    """For who looks for references next: if one is added after this call, the transaction fails."""
    entry = await store.get(guard)
    return Related((Compare(guard, entry.mod_revision if entry else 0),))


async def find_users(
    store: Store, kinds: Iterable[str], id: str, is_user: Callable[[str, Doc], bool]
) -> tuple[str, str] | None:
    """The first (kind, id) of `kinds` whose object refers to `id`. Costs a listing of all objects of these kinds."""
    for kind in kinds:
        entries, _ = await store.range(PREFIXES[kind])
        # Most objects do not even contain the id: only the others are decoded.
        for entry in entries:
            if id.encode() in entry.value and (kind_of(entry.key) or ("",))[0] == kind:
                doc = decode(entry)
                if doc is not None and is_user(kind, doc):
                    return kind, entry.key.removeprefix(PREFIXES[kind])
    return None


def decode(entry: Entry) -> Doc | None:
    """The object of an entry; None for placeholders and for what is not a JSON object."""
    if is_placeholder(entry.key, entry.value):
        return None
    try:
        doc = orjson.loads(entry.value)
    except orjson.JSONDecodeError:
        return None
    return doc if isinstance(doc, dict) else None


def join(parts: Iterable[Related]) -> Related:
    """All of them in one transaction; the same compare or operation twice counts once."""
    parts = list(parts)
    compares = {compare.key: compare for part in parts for compare in part.compares}
    ops = {op.key: op for part in parts for op in part.ops}
    return Related(tuple(compares.values()), tuple(ops.values()))


def in_use(what: str, user: tuple[str, str]) -> ModelError:
    """The refusal to delete what is still referred to."""
    return ModelError(f"can not delete this {what}, {user[0]} [{user[1]}] is still using it now")


def text_at(doc: Mapping[str, Any] | None, field: str) -> str | None:
    """The id in a field, as text."""
    value = (doc or {}).get(field)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
