"""`unilb lab demo`: a region at work. Publishes a load balancer, sends requests on each path, shows what happened."""

import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from userspace.lab.apply import LabError
from userspace.lab.capture import Tunnelled, captured, frames, tunnelled
from userspace.lab.client import Reply, request
from userspace.lab.lab import Lab
from userspace.lab.propagation import Propagation
from userspace.lab.publish import ADMIN_PORT, admin

REQUESTS = 12
CHANGES = 30
WORKERS = 2  # per gateway, as services.py starts them


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways through the region: a host name, and the VPC behind it, if any."""

    name: str
    vpc: str | None

    @property
    def host(self) -> str:
        return f"{self.name}.example.com"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What requests on one path have shown. latency: ms, the median. problems: () when the path is as it should be."""

    path: Way
    answered: tuple[str, ...]
    client_seen: tuple[str, ...]
    source_seen: tuple[str, ...]
    vnis: tuple[int, ...]
    latency: float
    sticky: bool
    problems: tuple[str, ...]


def ways(lab: Lab) -> tuple[Way, ...]:
    return (Way("classic", None), *(Way(vpc, vpc) for vpc in lab.topology.vpcs))


def publish_paths(lab: Lab) -> None:
    """Put one upstream and one route for each path. Raises LabError with the Admin API's answer."""
    t = lab.topology
    for path in ways(lab):
        vpc = {"vpc_id": path.vpc} if path.vpc else {}
        if path.vpc is None:
            nodes = {f"{m.address}:80": 1 for m in t.of_role("web")}
        else:
            nodes = {vm.at(80): 1 for vm in t.vms.values() if vm.vpc == path.vpc}
        _put(lab, f"/apisix/admin/upstreams/{path.name}", {"type": "roundrobin", "nodes": nodes, **vpc})
        route = {"host": path.host, "uri": "/*", "upstream_id": path.name, "plugins": {"sticky": {}}}
        _put(lab, f"/apisix/admin/routes/{path.name}", route)


def _put(lab: Lab, where: str, body: Mapping[str, object]) -> None:
    reply = admin(lab, "PUT", where, body)
    if reply.status not in (200, 201):
        raise LabError(f"PUT {where}: {reply.status} {reply.body.decode(errors='replace').strip()}")


def eip(lab: Lab) -> str:
    """Return the public address of the region."""
    return str(next(iter(lab.topology.eips)))


def ask(lab: Lab, path: Way, cookie: str | None = None) -> tuple[Reply, float]:
    """Send one request from the client through the EIP; return the answer and the milliseconds it took."""
    headers = {"Host": path.host} | ({"Cookie": cookie} if cookie else {})
    started = time.monotonic()
    reply = request(lab, "client", "GET", f"http://{eip(lab)}/who", headers=headers)
    return reply, (time.monotonic() - started) * 1000


def wait_until_routed(lab: Lab, within: float = 5) -> None:
    """Wait until every gateway routes every path: the Admin API has answered, the workers follow in milliseconds."""
    deadline = time.monotonic() + within
    for gateway in lab.topology.of_role("gateway"):
        for path in ways(lab):
            while _status(lab, str(gateway.address), path) == 404:
                if time.monotonic() > deadline:
                    raise LabError(f"{gateway.name} does not route {path.host} after {within} s")


def _status(lab: Lab, address: str, path: Way) -> int:
    return request(lab, "client", "GET", f"http://{address}/who", headers={"Host": path.host}).status


def observe(lab: Lab, path: Way) -> Outcome:
    """Send REQUESTS requests, half of them with the cookie of the first, while tcpdump watches the VPC hosts."""
    hosts = [m.name for m in lab.topology.of_role("vpc-host")]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{host}.pcap") for host in hosts]
        with captured(lab, hosts[0], files[0]), captured(lab, hosts[-1], files[-1]):
            first, _ = ask(lab, path)
            cookie = (first.headers.get("set-cookie") or "").partition(";")[0] or None
            free = [ask(lab, path) for _ in range(REQUESTS // 2)]
            stuck = [ask(lab, path, cookie) for _ in range(REQUESTS // 2)]
        wire = [packet for file in files for frame in frames(file) if (packet := tunnelled(frame))]
    return _judge(lab, path, first, free, stuck, wire)


def _judge(
    lab: Lab,
    path: Way,
    first: Reply,
    free: list[tuple[Reply, float]],
    stuck: list[tuple[Reply, float]],
    wire: list[Tunnelled],
) -> Outcome:
    replies = [first, *(reply for reply, _ in free + stuck)]
    good = [reply.json() for reply in replies if reply.status == 200]
    source = lab.topology.machines["client"].address
    vnis = tuple(sorted({packet.vni for packet in wire}))
    wanted_vnis = () if path.vpc is None else (lab.topology.vpcs[path.vpc].vni,)
    is_sticky = {r.json()["machine"] for r, _ in stuck if r.status == 200} == {
        first.json()["machine"] if first.status == 200 else None
    }
    problems = [f"status {reply.status}" for reply in replies if reply.status != 200]
    problems += [f"answered by {who['machine']} of VPC {who['vpc']}" for who in good if who["vpc"] != path.vpc]
    problems += [f"client seen as {who['x_forwarded_for']}" for who in good if who["x_forwarded_for"] != str(source)]
    problems += [] if vnis == wanted_vnis else [f"VNIs {vnis} on the wire, expected {wanted_vnis}"]
    problems += [] if is_sticky else ["the cookie did not hold"]
    return Outcome(
        path,
        tuple(sorted({who["machine"] for who in good})),
        tuple(sorted({who["x_forwarded_for"] for who in good})),
        tuple(sorted({who["remote"] for who in good})),
        vnis,
        median(ms for _, ms in free + stuck),
        is_sticky,
        tuple(dict.fromkeys(problems)),
    )


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for people."""
    rows = [("path", "answered by", "client seen", "source seen", "VNI on wire", "latency", "sticky", "")]
    rows += [
        (
            o.path.name if o.path.vpc is None else f"VPC {o.path.name}",
            " ".join(o.answered) or "-",
            " ".join(o.client_seen) or "-",
            " ".join(o.source_seen) or "-",
            " ".join(map(str, o.vnis)) or "-",
            f"{o.latency:.1f} ms",
            "yes" if o.sticky else "no",
            "ok" if not o.problems else "FAILED: " + "; ".join(o.problems),
        )
        for o in outcomes
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def how_to_look(lab: Lab) -> str:
    """Return commands that show the region from inside."""
    run = "unilb lab exec" + ("" if lab.name == "unilb" else f" --name {lab.name}")
    control = lab.topology.control
    admin_url = f"http://{control.address}:{ADMIN_PORT}"
    return f"""Look inside (in another terminal, from this directory, `. .venv/bin/activate` first):
  {run} client -- curl -s -H 'Host: blue.example.com' http://{eip(lab)}/who
  {run} gw1 -- unilb sessions                       # and l4, gw2
  {run} gw1 -- bpftool map dump pinned /sys/fs/bpf/unilb/4/endpoints
  {run} l4 -- bpftool map dump pinned /sys/fs/bpf/unilb/4/services
  {run} gw1 -- curl -s http://127.0.0.1:9091/metrics | grep unilb_
  {run} host1 -- tcpdump -ni eth0 udp port 4789
  tail -f {lab.state}/logs/gw1.access.log
Change a route and see it take effect:
  {run} {control.name} -- curl -s -H "X-API-KEY: $(cat {lab.admin_key})" -X PUT \\
    {admin_url}/apisix/admin/routes/new -d '{{"uri": "/new", "upstream_id": "classic"}}'
  {run} client -- curl -si http://{eip(lab)}/new"""


def describe(propagation: Propagation) -> str:
    return (
        f"A route, from the Admin API's answer to first effect on all {propagation.workers} workers: "
        f"p50 {propagation.percentile(50):.1f} ms, p99 {propagation.percentile(99):.1f} ms "
        f"({len(propagation.samples)} changes)"
    )


def wait_for_interrupt() -> None:
    """Return at the first SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
