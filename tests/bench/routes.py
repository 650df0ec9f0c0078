"""What finding a route, and changing one, costs among 10, 1,000 and 100,000 routes.

In process, the worker's own code: each size has the same kinds of routes, so the figures differ only by how many there
are. And served, beside HAProxy and nginx: requests for a random one of as many hosts.
"""

import gc
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from time import perf_counter

from tests.bench.many_hosts import compare
from tests.bench.report import Ratio, publish
from tests.requests import request
from userspace.config.compile_routing import Router
from userspace.config.snapshot import EMPTY, apply
from userspace.http.request import Request
from userspace.routing.modes import MODES

SIZES = (10, 1_000, 100_000)
ROUNDS = 5
LOOPS = 2_000
CHANGES = 200
SERVED_ROUNDS = 3
SECONDS = 3
CONNECTIONS = 64

Stored = tuple[str, bytes]


def route(number: int, **fields: object) -> Stored:
    doc = {"id": f"r{number}", "upstream_id": "u", **fields}
    return f"/apisix/routes/r{number}", json.dumps(doc).encode()


def by_host(number: int) -> Stored:
    """What tenants have: exact hosts, wildcards, beginnings of paths, conditions, in equal parts."""
    kind, tenant = number % 5, number // 5
    if kind == 0:
        return route(number, host=f"h{tenant}.example.com", uri="/api/v1/items")
    if kind == 1:
        return route(number, host=f"*.w{tenant}.example.com", uri="/*")
    if kind == 2:
        return route(number, uri=f"/files/{tenant:06d}/*")
    if kind == 3:
        return route(number, host=f"v{tenant}.example.com", uri="/*", vars=[["http_x_kind", "==", "blue"]])
    return route(number, host=f"e{tenant}.example.com", uri="/*", vars=[["arg_id", "~~", "^[0-9]+$"]])


def by_uri(number: int) -> Stored:
    """Half of them share one path, as in `radixtree_uri` tenants do; the others have parameters."""
    tenant = number // 2
    if number % 2:
        return route(number, host=f"h{tenant}.example.com", uri="/shared/*")
    return route(number, uri=f"/t{tenant}/:name/end")


def asked(last: int) -> dict[str, tuple[str, Request]]:
    """Metric -> (mode, request); each finds a route of the tenant in the middle."""
    tenant = last // 2
    return {
        "exact host and path": (MODES[0], request("GET", "/api/v1/items", host=f"h{tenant}.example.com")),
        "wildcard host": (MODES[0], request("GET", "/a/b/c", host=f"a.w{tenant}.example.com")),
        "beginning of a path": (MODES[0], request("GET", f"/files/{tenant:06d}/a/b")),
        "a header": (MODES[0], request("GET", "/a", "X-Kind: blue", host=f"v{tenant}.example.com")),
        "a regular expression": (MODES[0], request("GET", "/a?id=12345", host=f"e{tenant}.example.com")),
        "one path, many hosts": (MODES[2], request("GET", "/shared/a", host=f"h{tenant}.example.com")),
        "a parameter": (MODES[2], request("GET", f"/t{tenant}/json/end")),
    }


def router_of(mode: str, stored: Callable[[int], Stored], size: int) -> tuple[Router, float]:
    """The router, and the bytes that one of its routes takes."""
    upstream = ("/apisix/upstreams/u", b'{"id":"u","type":"roundrobin","nodes":{"127.0.0.1:9":1}}')
    objects = [upstream, *(stored(number) for number in range(size))]
    router = Router(mode=mode)
    gc.collect()
    tracemalloc.start()
    router.apply(apply(EMPTY, 1, objects))
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return router, taken / size


def matching(router: Router, one: Request) -> float:
    """Nanoseconds of one match. What the request keeps of an earlier look is forgotten."""
    assert router.match(one) is not None
    started = perf_counter()
    for _ in range(LOOPS):
        one._arguments = None
        router.match(one)
    return (perf_counter() - started) / LOOPS * 1e9


def changing(router: Router, size: int) -> float:
    """Nanoseconds from a changed route as stored to the table that has it."""
    key, value = by_host(size // 2)
    started = perf_counter()
    for number in range(CHANGES):
        changed = value.replace(b'"upstream_id"', b'"priority":%d,"upstream_id"' % number)
        router.apply(apply(router.snapshot, router.snapshot.revision + 1, [(key, changed)]))
    return (perf_counter() - started) / CHANGES * 1e9


def run() -> None:
    samples: dict[str, dict[str, tuple[list[float], str]]] = {f"{size} routes": {} for size in SIZES}
    routers: dict[tuple[int, str], Router] = {}
    for size in SIZES:
        for mode, stored in ((MODES[0], by_host), (MODES[2], by_uri)):
            routers[size, mode], per_route = router_of(mode, stored, size)
            samples[f"{size} routes"][f"memory per route, {mode}"] = ([per_route], "B")
    gc.freeze()
    for _ in range(ROUNDS):
        for size in SIZES:
            found = samples[f"{size} routes"]
            for metric, (mode, one) in asked(size // 5).items():
                found.setdefault(metric, ([], "ns"))[0].append(matching(routers[size, mode], one))
            change = partial(changing, routers[size, MODES[0]], size)
            found.setdefault("one change", ([], "ns"))[0].append(change())
    gc.unfreeze()
    first, last = f"{SIZES[0]} routes", f"{SIZES[-1]} routes"
    ratios = [Ratio(last, first, metric) for metric in samples[first]]
    routers.clear()
    gc.collect()
    samples |= compare(SIZES, SERVED_ROUNDS, SECONDS, CONNECTIONS)
    ratios += [Ratio(f"{one}, {last}", f"{one}, {first}", "requests") for one in ("unilb-worker", "haproxy", "nginx")]
    ratios += [Ratio(f"unilb-worker, {last}", f"{other}, {last}", "requests") for other in ("haproxy", "nginx")]
    publish("routes", ROUNDS, samples, ratios)
