"""What plugins ask of objects beside the one that they stand in. Raises ModelError, as APISIX does."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import orjson

from control.admin.plugin_references import mention
from control.admin.references import Doc, Related, decode, guard_of, join, take_guard
from control.model.defaults import fill
from control.model.errors import ModelError
from control.model.keys import PREFIXES, key_of
from control.model.plugins import PLUGINS, is_disabled
from control.store.base import Compare, Put, Store

_LIMIT: Final = "limit-count"
_FILE: Final = "file-logger"
# Whose plugins a group of limit-count may span.
_KINDS: Final = ("route", "service", "plugin_config", "consumer", "consumer_group", "global_rule")


async def relate_plugins(store: Store, doc: Doc) -> Related:
    """What makes the plugins of `doc` safe: their references, and that others stay as they were found here."""
    plugins = doc.get("plugins")
    if not isinstance(plugins, dict):
        return Related()
    parts = [mention(doc)]
    limit, file = plugins.get(_LIMIT), plugins.get(_FILE)
    if isinstance(limit, dict) and "group" in limit and not is_disabled(limit):
        parts.append(await _agree(store, limit))
    if isinstance(file, dict) and not file.get("path") and not is_disabled(file):
        parts.append(await _path(store))
    return join(parts)


async def _agree(store: Store, conf: Doc) -> Related:
    """All of a group say the same, also what this object itself said before: another limit wants another group. Costs a
    listing of all that may have plugins."""
    group = orjson.dumps(conf["group"])
    is_plain = conf["group"].replace("_", "").isalnum() and conf["group"].isascii()
    guard = guard_of("limit_group", blake2b(group, digest_size=16).hexdigest())
    taken = await take_guard(store, guard)
    wanted = _said(conf)
    for kind in _KINDS:
        entries, _ = await store.range(PREFIXES[kind])
        for entry in entries:
            # Most do not even contain it: only the others are decoded. What needs an escape may be written in two ways.
            if is_plain and group not in entry.value:
                continue
            for other in _limits(decode(entry)):
                if other.get("group") == conf["group"] and _said(other) != wanted:
                    raise _problem(_LIMIT, "group conf mismatched")
    return join([taken, Related(ops=(Put(guard, b""),))])


def _limits(doc: Doc | None) -> Iterator[Doc]:
    plugins = (doc or {}).get("plugins")
    conf = plugins.get(_LIMIT) if isinstance(plugins, dict) else None
    if isinstance(conf, dict) and not is_disabled(conf):
        yield conf


def _said(conf: Doc) -> Any:
    return fill(PLUGINS[_LIMIT].schemas["route"], {name: value for name, value in conf.items() if name != "_meta"})


async def _path(store: Store) -> Related:
    """A file logger without a file has that of its metadata."""
    key = key_of("plugin_metadata", _FILE)
    entry = await store.get(key)
    if entry is None or not (decode(entry) or {}).get("path"):
        raise _problem(_FILE, 'property "path" is not set in either the plugin conf or the metadata')
    return Related((Compare(key, entry.mod_revision),))


def _problem(plugin: str, text: str) -> ModelError:
    return ModelError(f"failed to check the configuration of plugin {plugin} err: {text}")
