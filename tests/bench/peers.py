"""The systems of a comparison on one machine: one worker of unilb, HAProxy with one thread, nginx with one worker.

Loopback, an nginx of its own as endpoint. CPU is the system's own (utime + stime), with all its processes.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import Ratio, publish
from tests.control.certificates import pair

ORIGIN, UNILB, HAPROXY, NGINX, ADMIN, METRICS = 18700, 18701, 18702, 18703, 18704, 18705
TLS = 10  # further than the plain port
NAME = "bench.example"
KEY = "bench-key-bench-key"
TICKS = os.sysconf("SC_CLK_TCK")

ORIGIN_CONF = """
daemon off; pid {dir}/origin.pid; error_log {dir}/origin.log; worker_processes 1; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {dir}/o1; proxy_temp_path {dir}/o2;
  fastcgi_temp_path {dir}/o3; uwsgi_temp_path {dir}/o4; scgi_temp_path {dir}/o5;
  server {{ listen 127.0.0.1:{origin} backlog=4096; location / {{ return 200 "hello\\n"; }} }} }}
"""
NGINX_CONF = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log; worker_processes 1; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {dir}/n1; proxy_temp_path {dir}/n2;
  fastcgi_temp_path {dir}/n3; uwsgi_temp_path {dir}/n4; scgi_temp_path {dir}/n5;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 100000000; }}
  ssl_certificate {dir}/both.pem; ssl_certificate_key {dir}/both.pem; ssl_session_cache shared:s:10m;
  server {{ listen 127.0.0.1:{nginx} backlog=4096; listen 127.0.0.1:{nginx_tls} ssl backlog=4096;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}
"""
HAPROXY_CONF = """
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
frontend f
  bind 127.0.0.1:{haproxy}
  bind 127.0.0.1:{haproxy_tls} ssl crt {dir}/both.pem
  default_backend b
backend b
  server s 127.0.0.1:{origin}
"""


@contextmanager
def started(argv: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, from when its port accepts."""
    with (folder / f"{port}.out").open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 15
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{argv[0]}: {(folder / f'{port}.out').read_text()}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(40)


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid, *(p for child in children for p in family(int(child)))]


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    total = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def admin(kind: str, id: str, body: object, port: int = ADMIN) -> None:
    """Put an object by the Admin API of a unilb with the key KEY."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/apisix/admin/{kind}/{id}",
        json.dumps(body).encode(),
        {"X-API-KEY": KEY},
        method="PUT",
    )
    urllib.request.urlopen(request).close()


@dataclass(frozen=True)
class Peer:
    """A system that runs: `pid` of its first process, and where it accepts."""

    pid: int
    port: int

    @property
    def rss(self) -> int:
        """Resident bytes of all its processes."""
        return sum(_rss(pid) for pid in family(self.pid))


def _rss(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found is not None else 0


@contextmanager
def peers(*settings: str) -> Iterator[Mapping[str, Peer]]:
    """Start all of them and yield them by name. `settings`: NAME=VALUE for unilb's worker."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        values = {"dir": folder, "origin": ORIGIN, "nginx": NGINX, "haproxy": HAPROXY}
        values |= {"nginx_tls": NGINX + TLS, "haproxy_tls": HAPROXY + TLS}
        certificate, key = pair(NAME)
        (folder / "both.pem").write_text(certificate + key)
        for name, text in (("origin", ORIGIN_CONF), ("nginx", NGINX_CONF), ("haproxy", HAPROXY_CONF)):
            (folder / f"{name}.conf").write_text(text.format(**values))
        nginx = ["/usr/sbin/nginx", "-p", str(folder), "-c"]
        stack.enter_context(started([*nginx, str(folder / "origin.conf")], ORIGIN, folder))
        unilb = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(folder / "unilb"), "--admin-key", KEY]
        unilb += ["--listen", f"127.0.0.1:{UNILB}", "--admin-listen", f"127.0.0.1:{ADMIN}", "--access-log", "off"]
        unilb += ["--metrics", f"127.0.0.1:{METRICS}", "--control-listen", "off"]
        unilb += ["--listen-tls", f"127.0.0.1:{UNILB + TLS}"]
        for setting in settings:
            unilb += ["--set", setting]
        haproxy = ["/usr/sbin/haproxy", "-f", str(folder / "haproxy.conf")]
        argvs = {
            "unilb-worker": (unilb, UNILB),
            "haproxy": (haproxy, HAPROXY),
            "nginx": ([*nginx, str(folder / "nginx.conf")], NGINX),
        }
        running = {}
        for name, (argv, port) in argvs.items():
            running[name] = Peer(stack.enter_context(started(argv, port, folder)).pid, port)
        # wrk names the address that it connects to.
        admin("ssls", "1", {"snis": [NAME, "127.0.0.1"], "cert": certificate, "key": key})
        admin("upstreams", "1", {"type": "roundrobin", "nodes": {f"127.0.0.1:{ORIGIN}": 1}})
        for number in range(10):
            admin("routes", str(number), {"uri": f"/route{number}/*", "upstream_id": "1"})
        admin("routes", "all", {"uri": "/*", "upstream_id": "1"})
        time.sleep(0.5)
        yield running


def load(port: int, connections: int, seconds: int, *options: str, tls: bool = False) -> tuple[float, float]:
    """Return requests per second and p99 in ms, by wrk."""
    url = f"https://127.0.0.1:{port + TLS}/" if tls else f"http://127.0.0.1:{port}/"
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", *options, url]
    out = subprocess.check_output(argv, text=True)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def compare(name: str, rounds: int, seconds: int, connections: int, *options: str, tls: bool = False) -> None:
    """Let wrk load each of them in turns, and publish rate, CPU per request and p99."""
    with peers("max_requests_per_connection=0") as running:
        samples = {system: {"requests": ([], "1/s"), "cpu": ([], "us/req"), "p99": ([], "ms")} for system in running}
        for _ in range(rounds):
            for system, peer in running.items():
                before = cpu(peer.pid)
                rate, p99 = load(peer.port, connections, seconds, *options, tls=tls)
                samples[system]["requests"][0].append(rate)
                samples[system]["cpu"][0].append((cpu(peer.pid) - before) / (rate * seconds) * 1e6)
                samples[system]["p99"][0].append(p99)
    ratios = [Ratio("unilb-worker", other, metric) for other in ("haproxy", "nginx") for metric in ("requests", "cpu")]
    publish(name, rounds, samples, ratios)
