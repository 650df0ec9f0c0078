"""Carrying steps out, and reading the state that plans are made from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from control.ctl.canonical import portable, vpc_of
from control.ctl.client import Api, Refused
from control.ctl.kinds import BY_NAME
from control.ctl.manifest import Manifest, Name, Wanted
from control.ctl.plan import Action, Step
from control.model.addresses import as_host, of_host

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that the server refused, and its words."""

    step: Step
    why: str


def read_live(api: Api, manifest: Manifest, whole_kinds: bool) -> dict[Name, Doc]:
    """What the server has of the objects in `manifest`; with `whole_kinds`, everything of the kinds that it names.

    Kinds that the server does not have are empty. Raises Trouble.
    """
    live: dict[Name, Doc] = {}
    for collection in sorted(manifest.kinds):
        kind = BY_NAME[collection]
        ids = [wanted.id for wanted in manifest.objects if wanted.kind is kind]
        try:
            found = api.list(kind) if whole_kinds else api.find(kind, ids)
        except Refused:
            continue
        live |= {(collection, id): doc for id, doc in found.items()}
    return live


def carry_out(api: Api, steps: Iterable[Step], say: Callable[[Step], None]) -> list[Failure]:
    """Do the steps, and those that are refused once more when others have got through: one may wait for another, a VNI
    for the VPC that gives it up. `say(step)` after each that is done. Raises Trouble."""
    failures = [Failure(step, "") for step in steps]
    while failures:
        waiting, failures, is_progress = failures, [], False
        for failure in waiting:
            step = failure.step
            try:
                _carry_out(api, step)
            except Refused as error:
                # The step that configures the same VPC will say the same, if it is not about its old endpoints.
                if step.action is not Action.WIDEN:
                    failures.append(Failure(step, str(error)))
                continue
            is_progress = is_progress or step.action is not Action.KEEP
            if step.action is not Action.WIDEN:
                say(step)
        if not is_progress:
            break
    return failures


def _carry_out(api: Api, step: Step) -> None:
    wanted = step.wanted
    if step.action is Action.KEEP:
        return
    if step.action is Action.DELETE:
        api.delete(wanted.kind, wanted.id)
        return
    api.put(wanted.kind, wanted.id, resolve(api, wanted))


def resolve(api: Api, wanted: Wanted) -> Doc:
    """The object as it is sent: endpoints that name their VPC in `metadata` get the unique IPs that this server gave
    them. Raises Refused, Trouble."""
    doc = portable(wanted.kind, wanted.doc)
    if wanted.kind.collection == "upstreams":
        return _with_unique_ips(api, doc)
    if isinstance(doc.get("upstream"), dict):
        return {**doc, "upstream": _with_unique_ips(api, doc["upstream"])}
    return doc


def _with_unique_ips(api: Api, upstream: Doc) -> Doc:
    nodes = upstream.get("nodes")
    if not isinstance(nodes, list) or not any(isinstance(node, dict) and vpc_of(node) is not None for node in nodes):
        return upstream
    vpcs: dict[str, Doc] = {}
    resolved = []
    for node in nodes:
        id = vpc_of(node)
        if id is None:
            resolved.append(node)
            continue
        if str(id) not in vpcs:
            vpcs[str(id)] = api.get(BY_NAME["vpcs"], str(id)) or {}
        ip = node["metadata"]["vpc_ip"]
        endpoint = vpcs[str(id)].get("endpoints", {}).get(of_host(ip))
        if endpoint is None:
            raise Refused(f"vpc [{id}] has no endpoint {ip}")
        resolved.append({**node, "host": as_host(endpoint["unique_ip"])})
    return {**upstream, "nodes": resolved}
