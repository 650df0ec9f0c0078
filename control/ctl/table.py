"""Tables for people. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from control.ctl.canonical import portable
from control.ctl.kinds import BY_NAME, Kind

Doc = Mapping[str, Any]
Column = tuple[str, Callable[[Doc], str]]

MAX_CELL = 60


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; long cells are cut."""
    cells = [[_cell(text) for text in row] for row in (head, *rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(head))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def object_table(kind: Kind, objects: Mapping[str, Doc]) -> str:
    """One line per object, with what is worth knowing of its kind."""
    columns = _COLUMNS.get(kind.collection, (_field("plugins"), _field("desc")))
    head = ["ID", "NAME", *(name for name, _ in columns)]
    rows = [
        [id, _text(doc.get("name")), *(of(portable(kind, doc)) for _, of in columns)] for id, doc in objects.items()
    ]
    return table(head, rows)


def status_table(status: Doc) -> str:
    """What `GET /unilb/status` says: the store, a line per node, the health of VIPs' targets as each L4 node sees it,
    and what nodes do not use and why."""
    nodes = _reports(status.get("nodes"))
    plain = {name: value for name, value in status.items() if name != "nodes" and not isinstance(value, dict | list)}
    text = "".join(f"{name:<14} {_text(value)}\n" for name, value in plain.items())
    if not nodes:
        return text
    rows = [[id, *(_text(_first(report, names)) for names in _REPORT.values())] for id, report in nodes.items()]
    for row, report in zip(rows, nodes.values(), strict=True):
        row.append(str(len(_rejected(report))))
    text += "\n" + table(["NODE", *_REPORT, "REJECTED"], rows)
    vips = sorted([vip, id, *_health(found)] for id, report in nodes.items() for vip, found in _vips(report).items())
    text += "\n" + table(["VIP", "NODE", "UP", "PANIC", "DOWN"], vips) if vips else ""
    refused = [[id, key, why] for id, report in nodes.items() for key, why in _rejected(report).items()]
    return text + ("\n" + table(["NODE", "OBJECT", "WHY"], refused) if refused else "")


_REPORT = {
    "REVISION": ("revision",),
    "AGE": ("age", "age_seconds", "store_age_seconds"),
    "STATE": ("state", "status", "ready"),
}


def _reports(nodes: Any) -> dict[str, Doc]:
    """Reports by node, whether they come as a map or as a list."""
    if isinstance(nodes, dict):
        return {id: report for id, report in nodes.items() if isinstance(report, dict)}
    listed = nodes if isinstance(nodes, list) else []
    return {str(report.get("id", report.get("node", "?"))): report for report in listed if isinstance(report, dict)}


def _vips(report: Doc) -> dict[str, Doc]:
    vips = report.get("vips")
    return {id: vip for id, vip in vips.items() if isinstance(vip, dict)} if isinstance(vips, dict) else {}


def _health(vip: Doc) -> tuple[str, str, str]:
    return f"{_text(vip.get('up'))}/{_text(vip.get('checked'))}", _text(vip.get("panic")), _text(vip.get("down"))


def _rejected(report: Doc) -> dict[str, str]:
    rejected = report.get("rejected", {})
    if isinstance(rejected, list):
        return {_text(entry): "" for entry in rejected}
    return {key: _text(why) for key, why in rejected.items()} if isinstance(rejected, dict) else {}


def _first(doc: Doc, names: Sequence[str]) -> Any:
    return next((doc[name] for name in names if name in doc), None)


def _field(name: str) -> Column:
    return name.upper(), lambda doc: _text(doc.get(name))


def _either(head: str, *names: str) -> Column:
    return head, lambda doc: _text(_first(doc, names))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ",".join(value) or "-"
    if isinstance(value, list):
        return ",".join(_text(item) for item in value) or "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 3] + "..."


def _endpoints(upstream: Doc) -> str:
    nodes = upstream.get("nodes")
    if isinstance(nodes, list):
        return _text([f"{node.get('host')}:{node.get('port', '')}".rstrip(":") for node in nodes])
    return _text(nodes if nodes is not None else upstream.get("service_name"))


def _upstream(doc: Doc) -> str:
    if "upstream_id" in doc:
        return _text(doc["upstream_id"])
    if isinstance(doc.get("upstream"), dict):
        return _endpoints(doc["upstream"])
    return f"service {doc['service_id']}" if "service_id" in doc else "-"


def _status(doc: Doc) -> str:
    return "on" if doc.get("status", 1) == 1 else "off"


def _targets(doc: Doc) -> str:
    return _text([f"{_place(target)}:{target.get('port')}" for target in doc.get("targets", [])])


def _place(target: Doc) -> str:
    """A node's id, or an address, in a VPC behind its id."""
    address = _text(_first(target, ("node", "address")))
    return f"{target['vpc_id']}/{address}" if "vpc_id" in target else address


_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "routes": (
        _either("HOSTS", "hosts", "host"),
        _either("URIS", "uris", "uri"),
        _field("methods"),
        ("UPSTREAM", _upstream),
        _field("plugins"),
        ("STATUS", _status),
    ),
    "services": (_field("hosts"), ("UPSTREAM", _upstream), _field("plugins")),
    "upstreams": (
        _field("type"),
        _field("scheme"),
        ("VPC", lambda doc: _text(doc.get("vpc_id"))),
        ("ENDPOINTS", _endpoints),
    ),
    "consumers": (("GROUP", lambda doc: _text(doc.get("group_id"))), _field("plugins")),
    "ssls": (_either("SNIS", "snis", "sni"), _field("type"), ("STATUS", _status)),
    "stream_routes": (_field("server_addr"), _field("server_port"), _field("sni"), ("UPSTREAM", _upstream)),
    "vpcs": (_field("vni"), _field("cidr"), _field("mtu"), _field("endpoints")),
    "vips": (_field("address"), _field("port"), _field("protocol"), ("TARGETS", _targets)),
    "eips": (_field("address"), _field("vip")),
    "nodes": (_field("role"), _field("zone"), _field("address"), _field("laddrs")),
}
assert _COLUMNS.keys() <= BY_NAME.keys()
