"""One worker of unilb, HAProxy with one thread and nginx with one worker, each with a route per host, among N hosts.

HAProxy and nginx find them in a map, which is how their operators do it.
"""

import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from control.model.keys import PREFIXES
from control.store.base import Put
from control.store.open import open_store
from tests.bench import peers
from tests.bench.peers import KEY, Peer, cpu, load, started

ORIGIN, UNILB, HAPROXY, NGINX, ADMIN, METRICS = 18750, 18751, 18752, 18753, 18754, 18755
PER_TRANSACTION = 1000
PATIENCE = 120.0
Samples = dict[str, dict[str, tuple[list[float], str]]]

HAPROXY_RULE = "  use_backend %[req.hdr(host),lower,map({file})]\n"
NGINX_MAP = "map_hash_max_size 524288; map_hash_bucket_size 128; map $host $found {{ default ''; include {file}; }}"
WRK = """
math.randomseed(1)
request = function()
  return wrk.format("GET", "/api/item", {{["Host"] = "h" .. math.random(0, {last}) .. ".example.com"}})
end
"""


async def fill(url: str, size: int) -> None:
    """Put the routes and their upstream into an empty store."""
    store = open_store(url)
    upstream = {"id": "1", "type": "roundrobin", "nodes": {f"127.0.0.1:{ORIGIN}": 1}}
    await store.txn([], [Put(PREFIXES["upstream"] + "1", json.dumps(upstream).encode())])
    for start in range(0, size, PER_TRANSACTION):
        puts = []
        for number in range(start, min(start + PER_TRANSACTION, size)):
            route = {"id": f"r{number}", "host": f"h{number}.example.com", "uri": "/api/*", "upstream_id": "1"}
            puts.append(Put(f"{PREFIXES['route']}r{number}", json.dumps(route).encode()))
        await store.txn([], puts)
    await store.close()


def configure(folder: Path, size: int) -> None:
    """Write what the others are started with."""
    values = {"dir": folder, "origin": ORIGIN, "nginx": NGINX, "haproxy": HAPROXY}
    (folder / "haproxy.map").write_text("".join(f"h{number}.example.com b\n" for number in range(size)))
    (folder / "nginx.map").write_text("".join(f"h{number}.example.com origin;\n" for number in range(size)))
    haproxy = peers.HAPROXY_CONF.format(**values)
    rule = HAPROXY_RULE.format(file=folder / "haproxy.map")
    (folder / "haproxy.conf").write_text(haproxy.replace("  default_backend b\n", rule))
    nginx = peers.NGINX_CONF.format(**values)
    nginx = nginx.replace("http { ", "http { " + NGINX_MAP.format(file=folder / "nginx.map") + "\n", 1)
    nginx = nginx.replace("proxy_pass http://origin;", "if ($found = '') { return 404; } proxy_pass http://$found;")
    (folder / "nginx.conf").write_text(nginx)
    (folder / "load.lua").write_text(WRK.format(last=size - 1))


@contextmanager
def serving(folder: Path, size: int) -> Iterator[Mapping[str, Peer]]:
    """Start all three with `size` hosts, and yield them by name."""
    configure(folder, size)
    data = folder / "unilb"
    data.mkdir()
    asyncio.run(fill(f"sqlite://{data}/unilb.db", size))
    unilb = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(data), "--admin-key", KEY]
    unilb += ["--listen", f"127.0.0.1:{UNILB}", "--admin-listen", f"127.0.0.1:{ADMIN}", "--access-log", "off"]
    unilb += ["--metrics", f"127.0.0.1:{METRICS}", "--control-listen", "off", "--set", "max_requests_per_connection=0"]
    argvs = {
        "unilb-worker": (unilb, UNILB),
        "haproxy": (["/usr/sbin/haproxy", "-f", str(folder / "haproxy.conf")], HAPROXY),
        "nginx": (["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], NGINX),
    }
    with ExitStack() as stack:
        found = {
            name: Peer(stack.enter_context(started(argv, port, folder)).pid, port)
            for name, (argv, port) in argvs.items()
        }
        for peer in found.values():
            _await_route(peer.port, size - 1)
        yield found


def _await_route(port: int, last: int) -> None:
    """Return when the last host is served."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/item", headers={"Host": f"h{last}.example.com"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(request, timeout=PATIENCE).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"port {port} does not serve"
            time.sleep(0.1)


def compare(sizes: tuple[int, ...], rounds: int, seconds: int, connections: int) -> Samples:
    """Let wrk ask for hosts at random; requests per second and CPU per request, by system and number of hosts."""
    samples: Samples = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "origin.conf").write_text(peers.ORIGIN_CONF.format(dir=folder, origin=ORIGIN))
        origin = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "origin.conf")]
        with started(origin, ORIGIN, folder):
            for size in sizes:
                place = folder / str(size)
                place.mkdir()
                with serving(place, size) as running:
                    for _ in range(rounds):
                        for system, peer in running.items():
                            before = cpu(peer.pid)
                            rate, _ = load(peer.port, connections, seconds, "-s", str(place / "load.lua"))
                            found = samples.setdefault(f"{system}, {size} routes", {})
                            found.setdefault("requests", ([], "1/s"))[0].append(rate)
                            spent = (cpu(peer.pid) - before) / (rate * seconds) * 1e6
                            found.setdefault("cpu", ([], "us/req"))[0].append(spent)
    return samples
