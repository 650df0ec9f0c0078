"""Stand-alone mode: a configuration file instead of the Admin API. What its objects mean, as keys and values."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson

from control.allocate.derive import derive_unique_ips
from control.allocate.pool import Pools
from control.allocate.translate import split_vpc_id, translate_upstream, vpc_ids_of
from control.model.addresses import as_host, of_host
from control.model.consumer import Consumer
from control.model.consumer_group import ConsumerGroup
from control.model.credential import Credential
from control.model.errors import ModelError
from control.model.fields import text_of_id
from control.model.global_rule import GlobalRule
from control.model.keys import CONFIGURATION, PREFIXES, STICKY_KEYS, TICKET_KEYS, key_of
from control.model.node import Node
from control.model.plugin_config import PluginConfig
from control.model.plugin_metadata import PluginMetadata
from control.model.route import Route
from control.model.service import Service
from control.model.ssl import Ssl
from control.model.sticky import KEY_BYTES, StickyKeys
from control.model.stream_route import StreamRoute
from control.model.tickets import SECRET_BYTES, TicketKeys
from control.model.upstream import Upstream
from control.model.vip import Vip
from control.model.vpc import Vpc
from control.store.file import Content, FileStore
from control.store.file_format import Item, has_end, parse
from control.store.yaml_json import FileError

Doc = dict[str, Any]

STICKY_FILE = "sticky.key"
KEPT_FILE = "last-good.yaml"
# In a file of this name a missing #END means that it is not complete.
APISIX_NAME = "apisix.yaml"
# Kinds of apisix.yaml and of exports; those that no gateway reads are named and passed over.
APISIX_KINDS = {
    *("routes", "services", "upstreams", "consumers", "consumer_groups", "global_rules", "plugin_configs"),
    *("plugin_metadata", "plugins", "ssls", "protos", "stream_routes", "secrets", "eips"),
}
_COLLECTIONS = {
    prefix.split("/")[-2]: kind for kind, prefix in PREFIXES.items() if prefix in CONFIGURATION and kind != "keys"
}
_SPELLINGS = _COLLECTIONS | {kind: kind for kind in _COLLECTIONS.values()}
_READERS: Mapping[str, Callable[[Doc, str], object]] = {
    "route": Route.from_json,
    "service": Service.from_json,
    "plugin_config": PluginConfig.from_json,
    "upstream": Upstream.from_json,
    "global_rule": GlobalRule.from_json,
    "stream_route": StreamRoute.from_json,
    "ssl": Ssl.from_json,
    "consumer": Consumer.from_json,
    "credential": Credential.from_json,
    "consumer_group": ConsumerGroup.from_json,
    "plugin_metadata": PluginMetadata.from_json,
    "vpc": Vpc.from_json,
    "vip": Vip.from_json,
    "node": Node.from_json,
}
_NO_VPC = 'invalid configuration: property "vpc_id" validation failed: the file has no valid vpc [{}]'


def open_file(path: Path, folder: Path, say: Callable[[str], None]) -> FileStore:
    """The store over a configuration file. `folder`, which exists, keeps the key of the sticky cookies and a copy of
    the last good file. `say(problem)`: see FileStore."""
    fixed = {STICKY_KEYS: sticky_keys(folder / STICKY_FILE), TICKET_KEYS: ticket_keys()}

    def read(raw: bytes, in_force: Mapping[str, bytes]) -> Content:
        if path.name == APISIX_NAME and not has_end(raw):
            raise FileError(None, "the last line is not #END: it is not complete")
        return content(raw, in_force, os.environ, fixed)

    return FileStore(path, read, folder / KEPT_FILE, say)


def sticky_keys(file: Path) -> bytes:
    """The keys of the sticky cookies, made at the first start. Copied to other machines, they honour each other's
    cookies. Raises ModelError when the file holds something else."""
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        stored = orjson.dumps(StickyKeys(secrets.token_bytes(KEY_BYTES)).to_json())
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(stored)
    try:
        StickyKeys.from_json(orjson.loads(stored))
    except orjson.JSONDecodeError as error:
        raise ModelError(f"{file}: {error}") from None
    return stored


def ticket_keys() -> bytes:
    """The secret of the session tickets of TLS: all workers of this process have it, nobody after it."""
    return orjson.dumps(TicketKeys(secrets.token_bytes(SECRET_BYTES), int(time.time())).to_json())


def content(
    raw: bytes, in_force: Mapping[str, bytes], environ: Mapping[str, str], fixed: Mapping[str, bytes]
) -> Content:
    """What a file says, and beside it `fixed`. An object that is not valid is named; the version of it that is in force
    stays, if there is one. Raises FileError when the file as a whole cannot be used."""
    parsed = parse(raw, environ)
    for spelling, line in parsed.kinds.items():
        if spelling not in _SPELLINGS and spelling not in APISIX_KINDS:
            raise FileError(line, f'unknown kind "{spelling}", known are {", ".join(sorted(_COLLECTIONS))}')
    reading = _Reading(in_force, dict(fixed))
    for spelling, line in parsed.kinds.items():
        if spelling not in _SPELLINGS and any(item.kind == spelling for item in parsed.items):
            reading.problems.append((line, f"{spelling}: not supported by unilb, passed over"))
    items = [(_SPELLINGS[item.kind], item) for item in parsed.items if item.kind in _SPELLINGS]
    # VPCs first: upstreams are translated by them.
    reading.read([pair for pair in items if pair[0] == "vpc"])
    reading.read_vpcs()
    reading.read([pair for pair in items if pair[0] != "vpc"])
    return Content(reading.values, tuple(f"line {line}: {why}" for line, why in sorted(reading.problems)))


@dataclass(slots=True)
class _Reading:
    in_force: Mapping[str, bytes]
    values: dict[str, bytes]
    problems: list[tuple[int, str]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    vpcs: dict[str, Vpc] = field(default_factory=dict)

    def read(self, items: list[tuple[str, Item]]) -> None:
        for kind, item in items:
            id = _id_of(kind, item)
            if kind == "consumer" and "/credentials/" in id:
                kind = "credential"
            key = key_of(kind, id)
            try:
                if key in self.lines:
                    raise ModelError(f"found duplicate id, the first is in line {self.lines[key]}")
                self.lines[key] = item.line
                self.values[key] = orjson.dumps(self._stored(kind, id, item.value))
            except (ModelError, TypeError) as error:
                self.problems.append((item.line, f"{kind} [{id}]: {error}"))
                if key in self.in_force:
                    self.values.setdefault(key, self.in_force[key])

    def read_vpcs(self) -> None:
        """Give the VPCs' endpoints their unique IPs. A VPC whose VNI or unique IP is another's is left out."""
        prefix = PREFIXES["vpc"]
        stored = {key: value for key, value in self.values.items() if key.startswith(prefix)}
        docs = {key.removeprefix(prefix): orjson.loads(value) for key, value in stored.items()}
        vnis: dict[int, str] = {}
        owners: dict[str, str] = {}
        for id, doc in docs.items():
            vpc = Vpc.from_json(doc, id)
            named = [endpoint.unique_ip for endpoint in vpc.endpoints.values() if endpoint.unique_ip]
            clash = next((unique for unique in named if unique in owners or named.count(unique) > 1), None)
            if vpc.vni in vnis:
                self._leave_out(id, f"vni {vpc.vni} belongs to vpc [{vnis[vpc.vni]}]")
            elif clash is not None:
                self._leave_out(id, f"unique_ip {clash} belongs to vpc [{owners.get(clash, id)}] already")
            else:
                vnis[vpc.vni] = id
                owners |= dict.fromkeys(named, id)
                self.vpcs[id] = vpc
        unique_ips = derive_unique_ips(self.vpcs, Pools())
        for id in self.vpcs:
            doc = docs[id]
            for ip, endpoint in doc.get("endpoints", {}).items():
                endpoint["unique_ip"] = unique_ips[id, str(ip_address(ip))]
            self.vpcs[id] = Vpc.from_json(doc, id)
            self.values[prefix + id] = orjson.dumps(doc)

    def _leave_out(self, id: str, why: str) -> None:
        key = PREFIXES["vpc"] + id
        self.problems.append((self.lines[key], f"vpc [{id}]: {why}"))
        del self.values[key]

    def _stored(self, kind: str, id: str, doc: Doc) -> Doc:
        """The object as the Admin API would have stored it. Raises ModelError."""
        doc = {**doc, "id": id}
        if isinstance(doc.get("plugins"), dict):
            # `key-auth:` with nothing behind it, as APISIX's own files have it.
            doc["plugins"] = {name: {} if conf is None else conf for name, conf in doc["plugins"].items()}
        if kind == "vip" and "address" not in doc:
            raise ModelError('property "address" is required: nothing allocates one here')
        if kind == "upstream":
            doc = self._translated(doc)
        elif isinstance(doc.get("upstream"), dict):
            doc["upstream"] = self._translated(doc["upstream"])
        if kind in _READERS:
            _READERS[kind](doc, id)
        return doc

    def _translated(self, doc: Doc) -> Doc:
        doc, vpc_id = split_vpc_id(doc)
        Upstream.from_json(doc)
        for id in vpc_ids_of(doc, vpc_id):
            if id not in self.vpcs:
                raise ModelError(_NO_VPC.format(id))
        if isinstance(doc.get("nodes"), list):
            # Whatever host they name: unique IPs are derived here, and an export has those of nobody.
            doc = {**doc, "nodes": [self._with_unique_ip(node) for node in doc["nodes"]]}
        return translate_upstream(doc, vpc_id, self.vpcs)

    def _with_unique_ip(self, node: Doc) -> Doc:
        metadata = node.get("metadata", {})
        if "vpc_id" not in metadata:
            return node
        endpoint = self.vpcs[text_of_id(metadata["vpc_id"])].endpoints.get(of_host(metadata["vpc_ip"]))
        return {**node, "host": as_host(endpoint.unique_ip)} if endpoint is not None else node


def _id_of(kind: str, item: Item) -> str:
    """The object's id, or what APISIX calls one that has none; a consumer's is its username."""
    name = item.value.get("id")
    if kind == "consumer" and "/credentials/" not in str(name):
        name = item.value.get("username")
    return text_of_id(name) if isinstance(name, str | int | float) and name != "" else f"arr_{item.number}"
