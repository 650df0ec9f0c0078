"""References to other objects inside plugins. What they name may come later: only deleting it is refused."""

from collections.abc import Iterator
from typing import Any

from control.admin.references import Doc, Related, guard_of
from control.model.fields import text_of_id
from control.store.base import Put

# Each is a change in the transaction that writes the object.
MAX_REFERENCES = 1000


def references_of(doc: Doc) -> set[tuple[str, str]]:
    """(kind, id) of every upstream that `traffic-split` and every proto that `grpc-transcode` of `doc` names."""
    plugins = doc.get("plugins")
    if not isinstance(plugins, dict):
        return set()
    return {*_upstreams(plugins.get("traffic-split")), *_protos(plugins.get("grpc-transcode"))}


def mention(doc: Doc) -> Related:
    """What makes these references safe from who deletes what they name."""
    named = sorted(references_of(doc))[:MAX_REFERENCES]
    return Related(ops=tuple(Put(guard_of(kind, id), b"") for kind, id in named))


def _upstreams(conf: Any) -> Iterator[tuple[str, str]]:
    for rule in _items(conf, "rules"):
        for upstream in _items(rule, "weighted_upstreams"):
            if isinstance(upstream, dict) and isinstance(upstream.get("upstream_id"), str | int):
                yield "upstream", text_of_id(upstream["upstream_id"])


def _protos(conf: Any) -> Iterator[tuple[str, str]]:
    if isinstance(conf, dict) and isinstance(conf.get("proto_id"), str | int):
        yield "proto", text_of_id(conf["proto_id"])


def _items(container: Any, name: str) -> list[Any]:
    value = container.get(name) if isinstance(container, dict) else None
    return value if isinstance(value, list) else []
