"""curl, wget, Node's fetch and requests against `unilb run`: what people use gets through unchanged."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.certificates import authority
from tests.userspace.clients import origin
from tests.userspace.clients.drivers import DRIVERS, STREAMING, Ask
from tests.userspace.clients.place import Place, running

MIB = 1 << 20
EVERY = pytest.mark.parametrize("client", DRIVERS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with origin.running() as port, running(tmp_path_factory.mktemp("run")) as place:
        certificate, key = authority().sign("localhost")
        place.put("ssls/s", {"sni": "localhost", "cert": certificate, "key": key})
        place.put("upstreams/u", {"type": "roundrobin", "nodes": {f"127.0.0.1:{port}": 1}})
        place.put("routes/all", {"uri": "/*", "upstream_id": "u"})
        place.put("routes/key", {"uri": "/key", "upstream_id": "u", "plugins": {"key-auth": {}}})
        small = {"gzip": {"types": "*"}, "brotli": {"types": "*"}, "proxy-rewrite": {"regex_uri": ["^/small", ""]}}
        place.put("routes/small", {"uri": "/small/*", "upstream_id": "u", "plugins": small})
        place.put("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": "jacks"}}})
        place.put("routes/dead", {"uri": "/dead", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}})
        yield place


@EVERY
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH"])
def test_methods_targets_and_headers_arrive_as_sent(client: str, method: str, place: Place, tmp_path: Path) -> None:
    target = "/a%20b/c?x=1&y=%2F&x=2"
    told = DRIVERS[client](Ask(method, place.url + target, {"X-Mine": "a, b", "Cookie": "k=v; l=w"}), tmp_path)
    assert (told.status, told.json["method"], told.json["target"]) == (200, method, target)
    headers = told.json["headers"]
    assert (headers["x-mine"], headers["cookie"]) == ("a, b", "k=v; l=w")
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")


@pytest.mark.parametrize("client", ["curl", "fetch", "requests"])
def test_head_has_the_length_and_no_body(client: str, place: Place, tmp_path: Path) -> None:
    told = DRIVERS[client](Ask("HEAD", f"{place.url}/body/1234"), tmp_path)
    assert (told.status, told.headers["content-length"], told.size) == (200, "1234", 0)


@EVERY
@pytest.mark.parametrize("kind", ["body", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 20 * MIB])
def test_downloads_arrive_whole(client: str, kind: str, size: int, place: Place, tmp_path: Path) -> None:
    told = DRIVERS[client](Ask("GET", f"{place.url}/{kind}/{size}"), tmp_path)
    expected = hashlib.sha256(origin.body(size)).hexdigest()
    assert (told.status, told.size, told.sha256) == (200, size, expected)


@pytest.mark.parametrize("client", STREAMING)
@pytest.mark.parametrize("kind", ["body", "chunked"])
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_compressed_downloads_arrive_whole(client: str, coding: str, kind: str, place: Place, tmp_path: Path) -> None:
    ask = Ask("GET", f"{place.url}/small/{kind}/{5 * MIB}", {"Accept-Encoding": coding})
    told = DRIVERS[client](ask, tmp_path)
    assert (told.status, told.headers["content-encoding"], told.size) == (200, coding, 5 * MIB)
    assert told.sha256 == hashlib.sha256(origin.body(5 * MIB)).hexdigest()


@EVERY
@pytest.mark.parametrize("size", [1, 3 * MIB])
def test_counted_uploads_arrive_whole(client: str, size: int, place: Place, tmp_path: Path) -> None:
    told = DRIVERS[client](Ask("PUT", f"{place.url}/up", size=size), tmp_path)
    assert (told.json["size"], told.json["sha256"]) == (size, hashlib.sha256(origin.body(size)).hexdigest())
    assert told.json["headers"]["content-length"] == str(size)


@pytest.mark.parametrize("client", STREAMING)
def test_uploads_in_chunks_arrive_whole(client: str, place: Place, tmp_path: Path) -> None:
    told = DRIVERS[client](Ask("POST", f"{place.url}/up", size=3 * MIB, stream=True), tmp_path)
    assert (told.json["size"], told.json["sha256"]) == (3 * MIB, hashlib.sha256(origin.body(3 * MIB)).hexdigest())
    assert told.json["headers"]["transfer-encoding"] == "chunked"


@EVERY
def test_answers_of_ours_are_understood(client: str, place: Place, tmp_path: Path) -> None:
    drive = DRIVERS[client]
    refused = drive(Ask("GET", f"{place.url}/key"), tmp_path)
    assert refused.status == 401
    if client != "wget":  # which throws the body of a 401 away
        assert refused.json == {"message": "Missing API key in request"}
    known = drive(Ask("GET", f"{place.url}/key", {"apikey": "jacks"}), tmp_path)
    assert known.json["headers"]["x-consumer-username"] == "jack"
    dead = drive(Ask("GET", f"{place.url}/dead"), tmp_path)
    assert (dead.status, dead.json) == (502, {"error_msg": "502 Bad Gateway"})


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_text(authority().certificate)
    return file


@EVERY
def test_tls_is_trusted_and_carries_bodies_both_ways(client: str, place: Place, ca: Path, tmp_path: Path) -> None:
    drive = DRIVERS[client]
    told = drive(Ask("PUT", f"{place.tls}/up?x=1", size=3 * MIB, ca=ca), tmp_path)
    assert (told.json["size"], told.json["sha256"]) == (3 * MIB, hashlib.sha256(origin.body(3 * MIB)).hexdigest())
    headers = told.json["headers"]
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == place.tls.rpartition(":")[2]
    down = drive(Ask("GET", f"{place.tls}/chunked/{5 * MIB}", ca=ca), tmp_path)
    assert (down.status, down.sha256) == (200, hashlib.sha256(origin.body(5 * MIB)).hexdigest())
