"""Snapshot: the whole configuration at one revision, and how a change of the store makes the next one of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from control.model.consumer import Consumer
from control.model.consumer_group import ConsumerGroup
from control.model.credential import Credential
from control.model.errors import ModelError
from control.model.global_rule import GlobalRule
from control.model.keys import SERVED, STICKY_KEYS, TICKET_KEYS, is_placeholder, key_of, kind_of
from control.model.node import Node
from control.model.plugin_config import PluginConfig
from control.model.plugin_metadata import PluginMetadata
from control.model.route import Route
from control.model.service import Service
from control.model.ssl import Ssl
from control.model.sticky import StickyKeys
from control.model.stream_route import StreamRoute
from control.model.tickets import TicketKeys
from control.model.upstream import Upstream
from control.model.vip import Vip
from control.model.vpc import Vpc
from userspace.config.merge import refused
from userspace.config.objects import Objects
from userspace.config.support import matches_as_written, unserved

_READERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "route": Route.from_json,
    "stream_route": StreamRoute.from_json,
    "ssl": Ssl.from_json,
    "service": Service.from_json,
    "plugin_config": PluginConfig.from_json,
    "upstream": Upstream.from_json,
    "global_rule": GlobalRule.from_json,
    "consumer": Consumer.from_json,
    "credential": Credential.from_json,
    "consumer_group": ConsumerGroup.from_json,
    "plugin_metadata": PluginMetadata.from_json,
    "vpc": Vpc.from_json,
    "vip": Vip.from_json,
    "node": Node.from_json,
}
_KEYS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    STICKY_KEYS: ("sticky_keys", StickyKeys.from_json),
    TICKET_KEYS: ("ticket_keys", TicketKeys.from_json),
}
_KINDS: Final = (*(kind for kind in SERVED if kind != "keys"), "credential")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects by id. `rejected`: store key -> why what is stored there is not in use. Of a bad object the last good
    version still is, if there was one; of one that gateways do not serve (support.py), none. References between objects
    are not checked here: a route may come before its upstream."""

    revision: int = 0
    routes: Objects[Route] = field(default_factory=Objects)
    stream_routes: Objects[StreamRoute] = field(default_factory=Objects)
    services: Objects[Service] = field(default_factory=Objects)
    plugin_configs: Objects[PluginConfig] = field(default_factory=Objects)
    upstreams: Objects[Upstream] = field(default_factory=Objects)
    global_rules: Objects[GlobalRule] = field(default_factory=Objects)
    consumers: Objects[Consumer] = field(default_factory=Objects)
    credentials: Objects[Credential] = field(default_factory=Objects)
    consumer_groups: Objects[ConsumerGroup] = field(default_factory=Objects)
    plugin_metadatas: Objects[PluginMetadata] = field(default_factory=Objects)
    ssls: Objects[Ssl] = field(default_factory=Objects)
    vpcs: Objects[Vpc] = field(default_factory=Objects)
    vips: Objects[Vip] = field(default_factory=Objects)
    nodes: Objects[Node] = field(default_factory=Objects)
    sticky_keys: StickyKeys | None = None
    ticket_keys: TicketKeys | None = None
    rejected: Objects[str] = field(default_factory=Objects)
    changed: frozenset[str] = frozenset()  # keys of objects that differ from those of the snapshot it was made of
    mark: object = field(default_factory=object, compare=False, repr=False)  # this snapshot's own
    made_of: object = field(default=None, compare=False, repr=False)  # the mark of that snapshot


EMPTY: Final = Snapshot()


def apply(snapshot: Snapshot, revision: int, changes: Iterable[tuple[str, bytes | None]]) -> Snapshot:
    """Return the snapshot at `revision`: `changes` are (key, new value or None for a deleted key), later ones win.

    A value that is no valid object is named in `rejected` and changes nothing else. One that asks for what gateways do
    not serve is named too, and takes its predecessor away: that lacks what was asked for. Keys of other kinds and the
    placeholders of `apisix init` are passed over. Costs depend on the changes, not on the snapshot.
    """
    fresh: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    rejected: dict[str, str | None] = {}
    keys = {field: getattr(snapshot, field) for field, _ in _KEYS.values()}
    for key, value in dict(changes).items():
        if value is not None and is_placeholder(key, value):
            continue
        kind, id = kind_of(key) or ("", "")
        if kind not in _KINDS and key not in _KEYS:
            continue
        parsed, rejected[key], is_bad = (None, None, False) if value is None else _read(key, kind, id, value)
        if is_bad:
            continue
        if key in _KEYS:
            keys[_KEYS[key][0]] = parsed
        else:
            fresh[kind][id] = parsed
    return _next(snapshot, revision, fresh, keys, rejected)


def replace(snapshot: Snapshot, revision: int, objects: Iterable[tuple[str, bytes]]) -> Snapshot:
    """Return the snapshot at `revision`, of which `objects` is all there is: what they leave out is gone.

    An object that did not change stays the same object; one that is bad now and was good keeps its last good version.
    """
    listed: dict[str, bytes | None] = dict(objects)
    gone = [key for key in _keys(snapshot) if key not in listed]
    return apply(snapshot, revision, [*listed.items(), *((key, None) for key in gone)])


def changed_keys(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """Return the keys of the objects in which two snapshots differ: at no cost when one was made of the other."""
    if new.made_of is old.mark:
        return new.changed
    changed = {key for key, (field, _) in _KEYS.items() if getattr(old, field) != getattr(new, field)}
    for kind in _KINDS:
        before, after = objects_of(old, kind), objects_of(new, kind)
        changed.update(key_of(kind, id) for id in {*before, *after} if before.get(id) != after.get(id))
    return frozenset(changed)


def objects_of(snapshot: Snapshot, kind: str) -> Objects[Any]:
    """Return the objects of a kind: "route", "upstream", "vpc", ..."""
    objects: Objects[Any] = getattr(snapshot, kind + "s")
    return objects


def _read(key: str, kind: str, id: str, value: bytes) -> tuple[Any, str | None, bool]:
    """Return (object, None, False), or (None, why it is not in use, whether it is no good object at all).

    A route whose conditions are served and whose plugins or upstream are not comes back refused, with why: dropped, it
    would let its requests fall through to a wider route.
    """
    try:
        document = orjson.loads(value)
        if key in _KEYS:
            return _KEYS[key][1](document), None, False
        parsed = _READERS[kind](document, id)
        why = unserved(kind, document, parsed)
        if why is not None:
            parsed = refused(parsed) if kind == "route" and matches_as_written(parsed) else None
        return parsed, why, False
    except ModelError as error:
        return None, str(error), True
    except orjson.JSONDecodeError as error:
        return None, f"not JSON: {error}", True
    except Exception as error:  # a fault of a reader must not keep everybody else's objects out
        return None, f"{type(error).__name__}: {error}", True


def _keys(snapshot: Snapshot) -> Iterator[str]:
    """The keys that a snapshot has something of."""
    for kind in _KINDS:
        yield from (key_of(kind, id) for id in objects_of(snapshot, kind))
    yield from (key for key, (field, _) in _KEYS.items() if getattr(snapshot, field) is not None)
    yield from snapshot.rejected


def _next(
    snapshot: Snapshot,
    revision: int,
    fresh: Mapping[str, Mapping[str, Any]],
    keys: Mapping[str, Any],
    rejected: Mapping[str, str | None],
) -> Snapshot:
    changed: set[str] = set()
    kept: dict[str, Any] = dict(keys)
    for kind, candidates in fresh.items():
        objects = objects_of(snapshot, kind)
        differing = {id: new for id, new in candidates.items() if objects.get(id) != new}
        kept[kind + "s"] = objects.changed(differing) if differing else objects
        changed.update(key_of(kind, id) for id in differing)
    changed.update(key for key, (field, _) in _KEYS.items() if keys[field] != getattr(snapshot, field))
    names = {key: why for key, why in rejected.items() if snapshot.rejected.get(key) != why}
    return Snapshot(
        revision,
        **kept,
        rejected=snapshot.rejected.changed(names) if names else snapshot.rejected,
        changed=frozenset(changed),
        made_of=snapshot.mark,
    )
