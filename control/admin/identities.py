"""What consumers are known by: no two of them by the same."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from control.admin.references import Related, decode, guard_of, join, take_guard
from control.model.credential import IDENTITIES
from control.model.errors import ModelError
from control.model.keys import PREFIXES, kind_of
from control.store.base import Put, Store

# All writes that set what a consumer is known by share this guard.
_ALL = guard_of("consumer", "*")
# Gateways fetch these, so what they stand for is not known here.
_REFERENCES = ("$secret://", "$env://", "$ENV://")


async def claim(store: Store, key: str, plugins: Mapping[str, Any]) -> Related:
    """Make what `plugins`, as they are stored, know a consumer by that of the object at `key` alone.

    Raises ModelError when it is another's. Costs a listing of all consumers.
    """
    wanted = dict(_identities(plugins))
    if not wanted:
        return Related()
    taken = await take_guard(store, _ALL)
    entries, _ = await store.range(PREFIXES["consumer"])
    quoted = [json.dumps(value, ensure_ascii=False).encode() for value in wanted.values()]
    for entry in entries:
        # Most do not even contain it: only the others are decoded.
        if entry.key == key or not any(text in entry.value for text in quoted):
            continue
        others = (decode(entry) or {}).get("plugins")
        for name, value in _identities(others if isinstance(others, dict) else {}):
            if wanted.get(name) == value:
                raise ModelError(f"duplicate key of plugin {name} found with {_owner(entry.key)}")
    return join([taken, Related(ops=(Put(_ALL, b""),))])


def _identities(plugins: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, field in IDENTITIES.items():
        conf = plugins.get(name)
        value = conf.get(field) if isinstance(conf, dict) else None
        if isinstance(value, str) and not value.startswith(_REFERENCES):
            yield name, value


def _owner(key: str) -> str:
    kind, id = kind_of(key) or ("consumer", key)
    if kind == "consumer":
        return f"consumer: {id}"
    username, _, credential = id.partition("/credentials/")
    return f"credential: {credential} of consumer: {username}"
