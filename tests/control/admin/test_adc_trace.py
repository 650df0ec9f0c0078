"""What ADC, APISIX's declarative client, asks for: ping, dump, sync, diff; and a second sync has nothing to do."""

import copy
import hashlib
import re
from typing import Any

from tests.control.admin.conftest import Client
from tests.control.certificates import pair

Doc = dict[str, Any]
Objects = dict[str, Doc]

# Path by path in the order of ADC's dump; stream_routes may be refused.
DUMPED = (
    *("services", "routes", "upstreams", "ssls", "consumers", "plugin_configs", "global_rules", "plugin_metadata"),
    "stream_routes",
)
SERVER_OWN = ("create_time", "update_time", "id")
CERT, PRIVATE_KEY = pair("adc.example")


def name_id(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


UPSTREAM_ID, SERVICE_ID = name_id("backend.default"), name_id("backend")
ROUTE_ID, STREAM_ID, SSL_ID = name_id("backend.hello"), name_id("backend.tcp"), name_id("adc.example")
CREDENTIAL_ID = name_id("jane.main")
# In the order in which ADC's sync writes them.
WANTED: Objects = {
    f"upstreams/{UPSTREAM_ID}": {
        "name": "default",
        "type": "roundrobin",
        "nodes": [{"host": "127.0.0.1", "port": 8080, "weight": 100, "priority": 0}],
        "labels": {"team": "a"},
    },
    f"services/{SERVICE_ID}": {
        "name": "backend",
        "desc": "what serves",
        "labels": {"team": "a"},
        "hosts": ["adc.example"],
        "upstream_id": UPSTREAM_ID,
        "plugins": {"limit-count": {"count": 10, "time_window": 60, "rejected_code": 429}},
    },
    f"routes/{ROUTE_ID}": {
        "name": "hello",
        "uris": ["/hello", "/hello/*"],
        "methods": ["GET", "POST"],
        "service_id": SERVICE_ID,
        "priority": 1,
        "plugins": {"key-auth": {}, "sticky": {"ttl": 60}},
    },
    f"stream_routes/{STREAM_ID}": {"name": "tcp", "server_port": 9100, "service_id": SERVICE_ID},
    f"ssls/{SSL_ID}": {"snis": ["adc.example"], "cert": CERT, "key": PRIVATE_KEY},
    "consumers/jane": {
        "username": "jane",
        "labels": {"team": "a"},
        "plugins": {"limit-count": {"count": 1, "time_window": 1}},
    },
    "global_rules/prometheus": {"plugins": {"prometheus": {"prefer_name": True}}},
    "plugin_metadata/http-logger": {"log_format": {"host": "$host"}},
    f"consumers/jane/credentials/{CREDENTIAL_ID}": {"name": "main", "plugins": {"key-auth": {"key": "jane-key"}}},
}
DELETE_ORDER = ("routes", "stream_routes", "services", "upstreams")


class Adc:
    """Asks as ADC asks, and remembers the calls."""

    def __init__(self, api: Client) -> None:
        self._api = api
        self.calls: list[tuple[str, str]] = []

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        self.calls.append((method, path))
        return await self._api.ask(method, path, body)

    async def ping(self) -> bool:
        return bool((await self.ask("GET", "routes")).status == 200)

    async def version(self) -> tuple[int, ...]:
        answer = await self.ask("GET", "routes")
        found = re.match(r"APISIX/(\d+)\.(\d+)\.(\d+)", answer.headers["Server"])
        assert found
        return tuple(map(int, found.groups()))

    async def dump(self) -> Objects:
        """Every object by its path. The id is the last part of the key."""
        has_credentials = await self.version() >= (3, 11, 0)
        there: Objects = {}
        for collection in DUMPED:
            answer = await self.ask("GET", collection)
            assert answer.status == 200, answer.raw
            for item in answer.json["list"]:
                there[f"{collection}/{item['key'].rsplit('/', 1)[-1]}"] = item["value"]
        for consumer in [path for path in there if path.startswith("consumers/")] if has_credentials else ():
            answer = await self.ask("GET", f"{consumer}/credentials")
            assert answer.status in (200, 404)
            for item in answer.json.get("list", ()):
                there[f"{consumer}/credentials/{item['key'].rsplit('/', 1)[-1]}"] = item["value"]
        return there

    async def diff(self, wanted: Objects) -> tuple[list[str], list[str]]:
        """(what to write, what to delete), by comparing values as they were sent with those that the server shows."""
        there = await self.dump()
        writes = [path for path, doc in wanted.items() if compared(path, there.get(path)) != compared(path, doc)]
        return writes, [path for path in there if path not in wanted]

    async def sync(self, wanted: Objects) -> list[str]:
        """Make it so; the paths that were written or deleted."""
        writes, deletes = await self.diff(wanted)
        for path in sorted(deletes, key=_delete_rank):
            assert (await self.ask("DELETE", path)).status == 200, path
        for path in writes:
            answer = await self.ask("PUT", path, wanted[path])
            assert answer.status in (200, 201), answer.raw
        return [*deletes, *writes]


def _delete_rank(path: str) -> int:
    collection = path.split("/")[0]
    return DELETE_ORDER.index(collection) if collection in DELETE_ORDER else len(DELETE_ORDER)


def compared(path: str, doc: Doc | None) -> Doc | None:
    """A value without what servers add of their own by design, and without keys, which no server shows."""
    if doc is None:
        return None
    hidden = ("key", "keys") if path.startswith("ssls/") else ()
    return {name: value for name, value in doc.items() if name not in (*SERVER_OWN, *hidden)}


async def test_ping_and_version(api: Client) -> None:
    adc = Adc(api)
    assert await adc.ping()
    assert await adc.version() >= (3, 11, 0)


async def test_an_empty_server_is_dumped_as_nothing(api: Client) -> None:
    adc = Adc(api)
    assert await adc.dump() == {}
    assert adc.calls == [("GET", "routes"), *(("GET", collection) for collection in DUMPED)]


async def test_a_second_sync_does_nothing(api: Client) -> None:
    adc = Adc(api)
    assert await adc.diff(WANTED) == (list(WANTED), [])
    assert await adc.sync(WANTED) == list(WANTED)
    adc.calls.clear()
    assert await adc.sync(WANTED) == []
    assert {method for method, _ in adc.calls} == {"GET"}


async def test_nothing_that_the_server_added_is_a_difference(api: Client) -> None:
    adc = Adc(api)
    await adc.sync(WANTED)
    for path, shown in (await adc.dump()).items():
        sent = WANTED[path]
        added = shown.keys() - sent.keys()
        assert added <= set(SERVER_OWN), path
        if path.startswith("plugin_metadata/"):
            assert added == {"id"}
        assert {name: shown[name] for name in sent if name not in ("key", "keys")} == {
            name: value for name, value in sent.items() if not (path.startswith("ssls/") and name in ("key", "keys"))
        }


async def test_a_change_is_written_alone(api: Client) -> None:
    adc = Adc(api)
    await adc.sync(WANTED)
    changed = copy.deepcopy(WANTED)
    changed[f"routes/{ROUTE_ID}"]["priority"] = 7
    assert await adc.sync(changed) == [f"routes/{ROUTE_ID}"]
    assert await adc.diff(changed) == ([], [])


async def test_a_sync_to_nothing_deletes_in_an_order_that_is_allowed(api: Client) -> None:
    adc = Adc(api)
    await adc.sync(WANTED)
    # A consumer takes its credentials with it.
    await adc.ask("DELETE", f"consumers/jane/credentials/{CREDENTIAL_ID}")
    assert sorted(await adc.sync({})) == sorted(path for path in WANTED if "credentials" not in path)
    assert await adc.dump() == {}


async def test_validate_judges_without_storing(api: Client) -> None:
    body = {"routes": [{"id": ROUTE_ID, **WANTED[f"routes/{ROUTE_ID}"]}], "routes_conf_version": 1}
    answer = await api.post("configs/validate", body)
    assert (answer.status, answer.json) == (200, {})
    assert await Adc(api).dump() == {}
