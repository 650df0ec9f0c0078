"""Bad input to services, consumers and all that is not a route or an upstream: 400, named, and nothing is stored."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from control.store.base import Store
from control.store.open import open_store
from tests.control.admin.conftest import Client, running
from tests.control.certificates import pair

# One server for all rows: each of them checks that it has left no trace.
pytestmark = pytest.mark.asyncio(loop_scope="module")

CERT, KEY = pair("a.example")
LONG = "x" * 257
FORBIDDEN = "the property is forbidden:  create_time"
ID = 'property "id" validation failed: object matches none of the required'
UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}
PROTO = 'syntax = "proto3"; message A { string a = 1; }'
Row = tuple[str, dict[str, Any], str]

NAMED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, 'property "name" validation failed: string too short'),
    ({"name": LONG}, 'property "name" validation failed: string too long'),
    ({"desc": LONG}, 'property "desc" validation failed: string too long'),
    ({"desc": 1}, 'property "desc" validation failed: wrong type: expected string, got number'),
    ({"labels": []}, 'property "labels" validation failed: wrong type: expected object'),
    ({"labels": {"a": "b c"}}, "failed to validate a"),
    ({"create_time": 1}, FORBIDDEN),
    ({"surprise": 1}, "additional properties forbidden, found surprise"),
]
PLUGINS: list[tuple[dict[str, Any], str]] = [
    ({"plugins": []}, 'property "plugins" validation failed: wrong type: expected object'),
    ({"plugins": {"no-such": {}}}, "unknown plugin [no-such]"),
    ({"plugins": {"sticky": 1}}, 'invalid plugin conf "1" for plugin [sticky]'),
    ({"plugins": {"sticky": {"ttl": 0}}}, "failed to check the configuration of plugin sticky err: "),
]
SERVICE: list[tuple[dict[str, Any], str]] = [
    *NAMED,
    *PLUGINS,
    ({"hosts": []}, 'property "hosts" validation failed: expect array to have at least 1 items'),
    ({"hosts": ["a b"]}, 'property "hosts" validation failed: failed to validate item 1'),
    ({"hosts": ["a", "a"]}, "expected unique items"),
    ({"enable_websocket": 1}, 'property "enable_websocket" validation failed: wrong type'),
    ({"splice": "on"}, 'property "splice" validation failed: matches none of the enum values'),
    ({"script": "return 1234"}, "'script' should be a Lua object"),
    ({"upstream": {}}, 'property "upstream" validation failed: value should match only one schema'),
    ({"upstream": {**UPSTREAM, "type": "chash"}}, "missing key"),
    ({"upstream": {**UPSTREAM, "create_time": 1}}, "the property is forbidden:  upstream.create_time"),
    ({"upstream_id": "a b"}, 'property "upstream_id" validation failed'),
    ({"upstream_id": "9"}, "failed to fetch upstream info by upstream id [9], response code: 404"),
    ({"host": "a"}, "additional properties forbidden, found host"),
]
CONSUMER: list[tuple[dict[str, Any], str]] = [
    *[row for row in NAMED if "name" not in row[0]],
    ({"username": "other"}, "wrong username"),
    ({"username": 1}, 'property "username" validation failed: wrong type'),
    ({"group_id": "9"}, "failed to fetch consumer group info by consumer group id [9], response code: 404"),
    ({"group_id": "a b"}, 'property "group_id" validation failed'),
    ({"plugins": {"no-such": {}}}, "invalid plugins configuration: unknown plugin [no-such]"),
    ({"plugins": {"key-auth": {}}}, "invalid plugins configuration: failed to check the configuration of plugin key-"),
    ({"plugins": {"key-auth": {"key": 1}}}, 'property "key" validation failed: wrong type: expected string'),
    ({"plugins": []}, 'property "plugins" validation failed: wrong type'),
    ({"name": "n"}, "additional properties forbidden, found name"),
]
CREDENTIAL: list[tuple[dict[str, Any], str]] = [
    *NAMED,
    ({"id": "other"}, "wrong credential id"),
    ({"plugins": {"sticky": {}}}, "only supports auth type plugins in consumer credential"),
    ({"plugins": {"key-auth": {"key": "a"}, "basic-auth": {}}}, "expect object to have at most 1 properties"),
    ({"plugins": {"key-auth": {}}}, 'property "key" is required'),
]
SSL: list[tuple[dict[str, Any], str]] = [
    *[row for row in NAMED if "name" not in row[0]],
    ({"sni": None}, 'property "sni" validation failed'),
    ({"snis": ["a.example"]}, "then clause did not match"),
    ({"snis": [], "type": "client"}, 'property "snis" validation failed: expect array to have at least 1 items'),
    ({"sni": "a b"}, 'property "sni" validation failed: failed to match pattern'),
    ({"type": "both"}, 'property "type" validation failed: matches none of the enum values'),
    ({"cert": "x"}, 'property "cert" validation failed: string too short, expected at least 128, got 1'),
    ({"cert": "x" * 128}, "failed to parse cert: PEM_read_bio_X509_AUX() failed"),
    ({"key": "x" * 63}, 'property "key" validation failed: string too short, expected at least 64, got 63'),
    ({"key": "-" * 64}, "failed to parse key: PEM_read_bio_PrivateKey() failed"),
    ({"key": "-----BEGIN PRIVATE KEY-----\n" + "x" * 64}, "failed to parse key: PEM_read_bio_PrivateKey() failed"),
    ({"key": pair("b.example")[1]}, "failed to parse key: it is not the certificate's"),
    ({"certs": [CERT]}, "mismatched number of certs and keys"),
    ({"certs": [CERT, "x" * 128], "keys": [KEY, KEY]}, "failed to handle cert-key pair[2]: failed to parse cert"),
    ({"client": {}}, 'property "client" validation failed: property "ca" is required'),
    ({"client": {"ca": "x" * 128}}, "failed to validate client_cert: failed to parse cert"),
    ({"client": {"ca": CERT, "depth": -1}}, "expected -1 to be at least 0"),
    ({"ssl_protocols": ["SSLv3"]}, 'property "ssl_protocols" validation failed: failed to validate item 1'),
    ({"status": 2}, 'property "status" validation failed: matches none of the enum values'),
]
STREAM_ROUTE: list[tuple[dict[str, Any], str]] = [
    *NAMED,
    ({"remote_addr": "a"}, 'property "remote_addr" validation failed: object matches none of the required'),
    ({"server_addr": "10.0.0.0/33"}, 'property "server_addr" validation failed'),
    ({"server_port": 0}, 'property "server_port" validation failed: expected 0 to be at least 1'),
    ({"sni": "a b"}, 'property "sni" validation failed: failed to match pattern'),
    ({"upstream": {**UPSTREAM, "type": "chash"}}, "missing key"),
    ({"upstream_id": "9"}, "failed to fetch upstream info by upstream id [9], response code: 404"),
    ({"service_id": "9"}, "failed to fetch service info by service id [9], response code: 404"),
    ({"plugins": {"no-such": {}}}, "unknown plugin [no-such]"),
    ({"protocol": {}}, 'property "protocol" validation failed: property "name" is required'),
    ({"protocol": {"name": "xxx"}}, "unknown protocol [xxx]"),
    ({"protocol": {"name": "redis", "conf": {"faults": "a"}}}, 'property "faults" validation failed: wrong type'),
    ({"protocol": {"name": "redis", "superior_id": "1"}}, "stream route can not set itself as superior_id"),
    ({"protocol": {"name": "redis", "superior_id": 9}}, "failed to fetch stream routes[9], response code: 404"),
    ({"protocol": {"name": "redis", "logger": [{"name": "a"}]}}, 'property "conf" is required when "name" is set'),
]
PROTOS: list[tuple[dict[str, Any], str]] = [
    *NAMED,
    ({"content": ""}, 'property "content" validation failed: string too short'),
    ({"content": 1}, 'property "content" validation failed: wrong type: expected string, got number'),
    ({"content": "message A {"}, "invalid content: '{' is not closed"),
    ({"content": "message A }"}, "invalid content: unexpected '}'"),
    ({"content": "hello world;"}, "invalid content: unexpected 'hello'"),
    ({"content": 'syntax = "proto4";'}, "invalid content: syntax is neither proto2 nor proto3"),
    ({"content": "message { }"}, "invalid content: message needs a name and a block"),
    ({"content": "message A { string a; }"}, "invalid content: message A: 'string a ;' is no field"),
    ({"content": "message A { string a = 0; }"}, "invalid content: message A: field a: '0' is no field number"),
    ({"content": "message A { string a = 1; oneof o { int32 b = 1; } }"}, "field b: number 1 is already that of a"),
    ({"content": "message A { string a = 1; int32 a = 2; }"}, "invalid content: message A: field a is there twice"),
    ({"content": "service S { string a = 1; }"}, "invalid content: service S: unexpected 'string'"),
    ({"content": "message A { string a = 1 }"}, "invalid content: "),
    ({"content": "message A { # }"}, "invalid content: line 1: unexpected"),
    ({"content": "message A {" * 200 + "}" * 200}, "invalid content: nested deeper than 100"),
]
VAULT: list[tuple[dict[str, Any], str]] = [
    ({"uri": 1}, 'property "uri" validation failed: wrong type'),
    ({"uri": "here"}, 'property "uri" validation failed: failed to match pattern'),
    ({"prefix": []}, 'property "prefix" validation failed: wrong type'),
    ({"token": 5}, 'property "token" validation failed: wrong type'),
    ({"namespace": 5}, 'property "namespace" validation failed: wrong type'),
    ({"id": "aws/1"}, "wrong secret id"),
    ({"create_time": 1}, FORBIDDEN),
]
GOOD: dict[str, tuple[dict[str, Any], list[tuple[dict[str, Any], str]]]] = {
    "services/1": ({}, [*SERVICE, ({"id": 2}, "wrong service id")]),
    "plugin_configs/1": ({"plugins": {}}, [*NAMED, *PLUGINS, ({"id": 2}, "wrong plugin config id")]),
    "consumer_groups/1": ({"plugins": {}}, [*NAMED, *PLUGINS, ({"id": 2}, "wrong consumer group id")]),
    "global_rules/1": (
        {"plugins": {}},
        [*PLUGINS, ({"name": "n"}, "found name"), ({"create_time": 1}, FORBIDDEN), ({"id": 2}, "wrong global rule id")],
    ),
    "consumers/jack": ({"username": "jack"}, CONSUMER),
    "consumers/owner/credentials/c": ({"plugins": {"key-auth": {"key": "k"}}}, CREDENTIAL),
    "ssls/1": ({"cert": CERT, "key": KEY, "sni": "a.example"}, [*SSL, ({"id": 2}, "wrong ssl id")]),
    "stream_routes/1": ({"upstream": UPSTREAM}, STREAM_ROUTE),
    "protos/1": ({"content": PROTO}, PROTOS),
    "secrets/vault/1": ({"uri": "http://127.0.0.1:8200", "prefix": "a", "token": "b"}, VAULT),
}
ROWS: list[Row] = [(path, {**good, **more}, says) for path, (good, rows) in GOOD.items() for more, says in rows] + [
    ("services/a%20b", {}, ID),
    ("services", {"id": -1}, ID),
    ("services", {}, "missing service id"),
    ("plugin_configs/1", {}, 'property "plugins" is required'),
    ("plugin_configs/a%20b", {"plugins": {}}, ID),
    ("plugin_configs", {"plugins": {}}, "missing plugin config id"),
    ("consumer_groups/1", {}, 'property "plugins" is required'),
    ("consumer_groups", {"plugins": {}}, "missing consumer group id"),
    ("global_rules/1", {}, 'property "plugins" is required'),
    ("global_rules/a%20b", {"plugins": {}}, ID),
    ("global_rules", {"plugins": {}}, "missing global rule id"),
    ("global_rules", {"plugins": {}, "id": 0}, ID),
    ("consumers", {}, 'property "username" is required'),
    ("consumers", {"username": ""}, 'property "username" validation failed: string too short'),
    ("consumers", {"username": "a b"}, 'property "username" validation failed: failed to match pattern'),
    ("consumers", {"username": LONG}, 'property "username" validation failed: string too long'),
    ("consumers/owner/credentials", {}, "missing credential id"),
    ("ssls/1", {"cert": CERT, "key": KEY}, "then clause did not match"),
    ("ssls/1", {"sni": "a.example", "cert": CERT}, "then clause did not match"),
    ("ssls/1", {"type": "client", "cert": CERT}, "else clause did not match"),
    ("ssls", {"cert": CERT, "key": KEY, "sni": "a.example"}, "missing ssl id"),
    ("stream_routes/*", {}, ID),
    ("stream_routes", {}, "missing stream route id"),
    ("protos/1", {}, 'property "content" is required'),
    ("protos", {"content": PROTO}, "missing proto id"),
    ("secrets", {}, "missing secret type"),
    ("secrets/vault", {}, "no secret id"),
    ("secrets/vault/1", {"uri": "http://a", "prefix": "b"}, 'property "token" is required'),
    ("secrets/consul/1", {}, "invalid secret manager: consul"),
    ("secrets/aws/1", {"access_key_id": "a"}, 'property "secret_access_key" is required'),
    ("secrets/aws/1", {"access_key_id": "a", "secret_access_key": "b", "endpoint_url": "x"}, 'property "endpoint_url"'),
    ("secrets/gcp/1", {}, "value should match only one schema, but matches none"),
    ("secrets/gcp/1", {"auth_file": "a", "auth_config": {}}, 'property "auth_config" validation failed: property "cli'),
    ("secrets/gcp/1", {"auth_file": "a", "ssl_verify": 1}, 'property "ssl_verify" validation failed: wrong type'),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = open_store(f"sqlite://{tmp_path_factory.mktemp('store')}/store.db")
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(store: Store, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running(store, tmp_path_factory.mktemp("audit") / "audit.log") as client:
        await client.must_put("consumers", {"username": "owner"})
        yield client


_PEM = re.compile(r"-----BEGIN.*?-----END [A-Z ]+-----")


def _named(row: Row) -> str:
    """The same in every process, whose keys are not."""
    return f"{row[0]} {_PEM.sub('PEM', str(row[1]))[-60:]}"


@pytest.mark.parametrize(("path", "doc", "says"), ROWS, ids=[_named(row) for row in ROWS])
async def test_it_is_refused_and_named(api: Client, store: Store, path: str, doc: dict[str, Any], says: str) -> None:
    before = await store.range("/")
    answer = await api.put(path, doc)
    assert (answer.status, says in answer.error) == (400, True), answer.raw
    assert answer.raw.endswith(b"}\n")
    assert await store.range("/") == before


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("POST", "consumers", "consumer"),
        ("PATCH", "consumers/jack", "consumer"),
        ("POST", "consumers/jack/credentials", "credential"),
        ("PATCH", "consumers/jack/credentials/1", "credential"),
        ("POST", "consumer_groups", "consumer group"),
        ("POST", "global_rules", "global rule"),
        ("POST", "plugin_configs", "plugin config"),
        ("PATCH", "stream_routes/1", "stream route"),
        ("PATCH", "protos/1", "proto"),
        ("POST", "secrets/vault", "secret"),
    ],
)
async def test_a_method_that_the_resource_lacks_is_named(api: Client, method: str, path: str, title: str) -> None:
    answer = await api.ask(method, path, None)
    assert (answer.status, answer.json) == (405, {"error_msg": f"not supported `{method}` method for {title}"})


async def test_a_credential_of_nobody_is_not_found(api: Client, store: Store) -> None:
    before = await store.range("/")
    answer = await api.put("consumers/nobody/credentials/1", {"plugins": {"key-auth": {"key": "k"}}})
    assert (answer.status, answer.json) == (404, {"error_msg": "consumer not found"})
    assert await store.range("/") == before
