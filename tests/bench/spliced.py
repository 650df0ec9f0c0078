"""Spliced connections beside unspliced ones, HAProxy, nginx and the kernel's own routing, in turns on the same wires.

In a region of namespaces: the client machine loads gateway gw1, whose only endpoint is web1. HAProxy (one thread) and
nginx (one worker) run on gw1 as well and forward to web1; `kernel-routing` sends to web1 itself, both ways over gw1,
which routes. gw1 has two workers. CPU: of every process of the system itself; what the kernel does for a packet between
namespaces is in none of them.
"""

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.peers import cpu
from tests.bench.region import region
from tests.bench.report import Ratio, publish
from tests.netns.observe import service
from userspace.lab import services
from userspace.lab.exec import run as execute
from userspace.lab.exec import spawn
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 50
GATEWAY, ENDPOINT, CLIENT = "10.1.0.11", "10.1.0.21", "203.0.113.9"
HAPROXY, NGINX = 8701, 8702
HOST = "bench.example.com"
PATHS = {"small": "/size/1024", "bulk": f"/size/{1 << 20}"}
SYSTEMS = ("unilb-spliced", "unilb-worker", "haproxy", "nginx", "kernel-routing")
HAPROXY_CONF = f"""
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option forwardfor
  http-reuse always
listen l
  bind {GATEWAY}:{HAPROXY}
  server s {ENDPOINT}:80
"""
NGINX_CONF = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log; worker_processes 1; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {dir}/n1; proxy_temp_path {dir}/n2;
  fastcgi_temp_path {dir}/n3; uwsgi_temp_path {dir}/n4; scgi_temp_path {dir}/n5;
  upstream origin {{ server {endpoint}:80; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen {gateway}:{port} backlog=4096;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}
"""


def put(lab: Lab, path: str, body: object) -> None:
    reply = admin(lab, "PUT", path, body)
    if reply.status not in (200, 201):
        raise RuntimeError(f"{path}: {reply.body!r}")


@contextlib.contextmanager
def systems() -> Iterator[tuple[Lab, dict[str, int]]]:
    """Yield the region and the first process of each system that has one."""
    with region() as lab:
        folder = Path(lab.state) / "bench"
        folder.mkdir(exist_ok=True)
        (folder / "haproxy.conf").write_text(HAPROXY_CONF)
        values = {"dir": folder, "gateway": GATEWAY, "port": NGINX, "endpoint": ENDPOINT}
        (folder / "nginx.conf").write_text(NGINX_CONF.format(**values))
        pids = {}
        for name, argv in (
            ("haproxy", ["/usr/sbin/haproxy", "-f", str(folder / "haproxy.conf")]),
            ("nginx", ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]),
        ):
            process = spawn(lab, "gw1", f"bench-{name}", argv, folder / f"{name}.out")
            pids[name] = process.pid
        node = services.running(lab, service(lab, "gw1"))
        assert node is not None
        pids["unilb-spliced"] = pids["unilb-worker"] = node.pid
        put(lab, "/apisix/admin/upstreams/bench", {"type": "roundrobin", "nodes": {f"{ENDPOINT}:80": 1}})
        for place in ("router", "gw1", "web1"):
            for key, value in (("ip_forward", 1), ("conf.all.send_redirects", 0), ("conf.all.rp_filter", 0)):
                execute(lab, place, ["sysctl", "-qw", f"net.ipv4.{key}={value}"])
            for device in execute(lab, place, ["ls", "/proc/sys/net/ipv4/conf"]).stdout.split():
                for key in ("send_redirects", "rp_filter", "accept_redirects"):
                    execute(lab, place, ["sysctl", "-qw", f"net.ipv4.conf.{device}.{key}=0"])
        for place, to, over in (("router", ENDPOINT, GATEWAY), ("web1", CLIENT, GATEWAY)):
            execute(lab, place, ["ip", "route", "replace", f"{to}/32", "via", over])
        yield lab, pids


def load(lab: Lab, system: str, path: str) -> tuple[float, float, float]:
    """Return requests per second, p50 and p99 in ms, by wrk on the client machine."""
    where = {"haproxy": f"{GATEWAY}:{HAPROXY}", "nginx": f"{GATEWAY}:{NGINX}", "kernel-routing": ENDPOINT}
    url = f"http://{where.get(system, GATEWAY)}{path}"
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", "-H", f"Host: {HOST}", url]
    out = execute(lab, "client", argv, timeout=SECONDS + 30).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        print(f"{system}: {out}", file=sys.stderr)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
    took = [_milliseconds(*re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", out).groups()) for share in (50, 99)]  # type: ignore[union-attr]
    return rate, took[0], took[1]


def _milliseconds(value: str, unit: str) -> float:
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def run() -> None:
    with systems() as (lab, pids):
        for kind, path in PATHS.items():
            metrics = {"requests": "1/s", "p50": "ms", "p99": "ms", "cpu": "us/req"}
            samples: dict[str, dict[str, tuple[list[float], str]]] = {
                system: {metric: ([], unit) for metric, unit in metrics.items() if metric != "cpu" or system in pids}
                for system in SYSTEMS
            }
            for _ in range(ROUNDS):
                for system in SYSTEMS:
                    policy = "auto" if system == "unilb-spliced" else "off"
                    route = {"host": HOST, "uri": "/*", "upstream_id": "bench", "splice": policy}
                    put(lab, "/apisix/admin/routes/bench", route)
                    time.sleep(0.3)
                    before = cpu(pids[system]) if system in pids else 0.0
                    rate, p50, p99 = load(lab, system, path)
                    for metric, value in (("requests", rate), ("p50", p50), ("p99", p99)):
                        samples[system][metric][0].append(value)
                    if system in pids:
                        samples[system]["cpu"][0].append((cpu(pids[system]) - before) / (rate * SECONDS) * 1e6)
            ratios = [
                Ratio("unilb-spliced", other, metric)
                for other in ("haproxy", "nginx", "unilb-worker", "kernel-routing")
                for metric in ("requests", "p99")
            ]
            publish(f"spliced-{kind}", ROUNDS, samples, ratios)
