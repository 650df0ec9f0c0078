"""What to write so that a server has what a file asks for. Pure: the server's objects in, steps out."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from control.ctl.canonical import for_comparison, is_same
from control.ctl.kinds import BY_NAME, RANK
from control.ctl.manifest import Manifest, Name, Wanted, label
from control.ctl.to_yaml import to_yaml

Doc = dict[str, Any]
Live = Mapping[Name, Doc]


class Action(Enum):
    """What became of an object; the word that people read."""

    CREATE = "created"
    CONFIGURE = "configured"
    KEEP = "unchanged"
    DELETE = "deleted"
    # A VPC with its old endpoints and its new ones: the upstreams that move from one to the other are written between
    # this and the step that configures it.
    WIDEN = "widened"


@dataclass(frozen=True, slots=True)
class Step:
    """One write, or none (KEEP)."""

    action: Action
    wanted: Wanted

    @property
    def name(self) -> Name:
        return self.wanted.name


def plan(manifest: Manifest, live: Live, prune: bool = False, force: bool = False) -> list[Step]:
    """Steps in the order of carrying them out: what is referred to is written first and deleted last.

    `prune`: delete what the file leaves out, of the kinds that it names. `force`: write unchanged objects too.
    """
    widened: list[Step] = []
    writes: list[Step] = []
    narrowed: list[Step] = []
    for wanted in sorted(manifest.objects, key=_rank):
        step = _write(wanted, live.get(wanted.name), force)
        wide = _widened(wanted, live.get(wanted.name)) if step.action is Action.CONFIGURE else None
        if wide is None:
            writes.append(step)
        else:
            widened.append(Step(Action.WIDEN, wide))
            narrowed.append(step)
    return [*widened, *writes, *narrowed, *(deletions(_surplus(manifest, live)) if prune else ())]


def deletions(objects: list[Wanted]) -> list[Step]:
    """Steps that delete these, users before what they use."""
    return [Step(Action.DELETE, wanted) for wanted in sorted(objects, key=_rank, reverse=True)]


def differences(steps: list[Step], live: Live) -> Iterator[str]:
    """A unified diff per object that the steps change; without what only the server sees or adds."""
    for step in steps:
        if step.action in (Action.KEEP, Action.WIDEN):
            continue
        before = _lines(step.wanted, live.get(step.name))
        after = _lines(step.wanted, None if step.action is Action.DELETE else step.wanted.doc)
        text = label(step.name)
        yield "".join(difflib.unified_diff(before, after, f"server/{text}", f"file/{text}"))


def _write(wanted: Wanted, live: Doc | None, force: bool) -> Step:
    if live is None:
        return Step(Action.CREATE, wanted)
    is_kept = not force and is_same(wanted.kind, live, wanted.doc)
    return Step(Action.KEEP if is_kept else Action.CONFIGURE, wanted)


def _widened(wanted: Wanted, live: Doc | None) -> Wanted | None:
    """The VPC with the endpoints of both, if it is one that loses some."""
    if wanted.kind.collection != "vpcs" or live is None:
        return None
    old, new = live.get("endpoints", {}), wanted.doc.get("endpoints", {})
    if not isinstance(old, dict) or not isinstance(new, dict) or old.keys() <= new.keys() or new.keys() <= old.keys():
        return None
    return Wanted(wanted.kind, wanted.id, {**wanted.doc, "endpoints": {**old, **new}}, wanted.line)


def _surplus(manifest: Manifest, live: Live) -> list[Wanted]:
    named = {wanted.name for wanted in manifest.objects}
    return [
        Wanted(BY_NAME[collection], id, {})
        for collection, id in live
        if collection in manifest.kinds and (collection, id) not in named
    ]


def _rank(wanted: Wanted) -> int:
    return RANK[wanted.kind.collection]


def _lines(wanted: Wanted, doc: Doc | None) -> list[str]:
    if doc is None:
        return []
    return to_yaml(for_comparison(wanted.kind, doc), sort_keys=True).splitlines(keepends=True)
