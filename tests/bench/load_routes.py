"""Fills a store with routes, past the Admin API: `python -m tests.bench.load_routes URL FROM TO`, run where etcd is."""

import asyncio
import json
import sys

from control.model.keys import PREFIXES
from control.store.base import Put
from control.store.open import open_store

PER_TRANSACTION = 1000


def put(number: int) -> Put:
    """A route of its own host and path to an upstream of its own, as tenants have them."""
    route = {
        "id": f"bulk-{number}",
        "uri": f"/bulk-{number}/*",
        "host": f"host-{number % 1000}.example.com",
        "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:9": 1}},
        "create_time": 1764000000,
        "update_time": 1764000000,
    }
    return Put(f"{PREFIXES['route']}bulk-{number}", json.dumps(route, separators=(",", ":")).encode())


async def load(url: str, first: int, end: int) -> int:
    """Put the routes `first` to `end` - 1; return the store's revision then."""
    store = open_store(url)
    revision = 0
    for start in range(first, end, PER_TRANSACTION):
        puts = [put(number) for number in range(start, min(start + PER_TRANSACTION, end))]
        revision = (await store.txn([], puts)).revision
    await store.close()
    return revision


if __name__ == "__main__":
    print(asyncio.run(load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
