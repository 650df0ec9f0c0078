"""Session persistence by hashing: what the client shows, and cookies that go with it."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.model.sticky import Sticky
from control.model.upstream import Endpoint
from tests.requests import PEER, request
from tests.userspace.proxy.stage import Speaker, Stage, get
from tests.userspace.proxy.sticking import DRAINED, KEYS, WEB, compile_of, compiled, cookies, set_by, stick, token
from tests.userspace.proxy.tls_stage import TlsStage
from userspace.balancer.picker import NONE
from userspace.http.request import Tls
from userspace.proxy.hash_sticks import network_of, stick_of

SHOWN: list[tuple[dict[str, Any], str]] = [
    ({"mode": "header", "header": "X-User"}, "x-user: {}"),
    ({"mode": "session_id", "when_drained": "repick"}, "Cookie: SESSIONID={}"),
    ({"mode": "app_cookie", "cookie": "JSESSIONID", "when_drained": "repick"}, "Cookie: a=b; JSESSIONID={}"),
]


def owner(shown: object) -> Endpoint:
    found = compiled().ring.pick(NONE, str(shown))
    assert found is not None
    return found


@pytest.mark.parametrize(("conf", "field"), SHOWN)
def test_what_a_client_shows_holds_it(conf: dict[str, Any], field: str) -> None:
    held = Counter[Endpoint]()
    for at in range(100):
        found, _ = stick(conf, field.format(at))
        assert (found.state, found.pick(NONE, "")) == ("valid", owner(at))
        held[owner(at)] += 1
    assert set(held) == set(WEB), "spread, and never on who is drained"


@pytest.mark.parametrize(("conf", "field"), SHOWN)
def test_only_clients_of_who_is_down_move_each_to_its_next_one(conf: dict[str, Any], field: str) -> None:
    of = compiled(WEB[0])
    moved = Counter[Endpoint]()
    for at in range(100):
        found, _ = stick(conf, field.format(at), of=of)
        picked = found.pick(NONE, "")
        assert picked is not None and picked != WEB[0]
        assert picked == owner(at) or (owner(at) == WEB[0] and found.state == "moved")
        if owner(at) == WEB[0]:
            moved[picked] += 1
            assert stick(conf, field.format(at), of=of)[0].pick(NONE, "") == picked
    assert len(moved) > 1


@pytest.mark.parametrize(("conf", "field"), SHOWN)
def test_who_may_not_move_is_refused(conf: dict[str, Any], field: str) -> None:
    [at] = [at for at in range(9) if owner(at) == WEB[0]][:1]
    found, _ = stick({**conf, "when_down": "refuse"}, field.format(at), of=compiled(WEB[0]))
    assert (found.state, found.pick(NONE, "")) == ("refused", None)


@pytest.mark.parametrize(("conf", "field"), SHOWN)
def test_a_retry_goes_on_round_the_ring(conf: dict[str, Any], field: str) -> None:
    found, _ = stick(conf, field.format(7))
    tried: set[Endpoint] = set()
    while (endpoint := found.pick(tried, "")) is not None:
        assert endpoint not in tried
        tried.add(endpoint)
    assert tried == set(WEB)


OLD: list[tuple[dict[str, Any], str]] = [
    ({"mode": "session_id"}, "Cookie: SESSIONID={}"),
    ({"mode": "app_cookie", "cookie": "JSESSIONID"}, "Cookie: JSESSIONID={}"),
]


@pytest.mark.parametrize(("conf", "field"), OLD)
def test_a_drained_endpoint_keeps_those_who_were_there_and_gets_nobody_new(conf: dict[str, Any], field: str) -> None:
    """Its clients are where they were before the drain: on the ring of all, at the weight that it most likely had."""
    before = compile_of(*WEB, replace(DRAINED, weight=1))
    stay = Counter[str]()
    for at in range(200):
        was = stick(conf, field.format(at), of=before)[0].pick(NONE, "")
        found, _ = stick(conf, field.format(at))
        now = found.pick(NONE, "")
        assert was is not None and now is not None and found.state == "valid"
        assert now.address == was.address
        stay[now.address] += 1
    assert stay[DRAINED.address] > 10
    for _ in range(50):
        new, _ = stick(conf)
        assert new.pick(NONE, "") in WEB


@pytest.mark.parametrize(("conf", "field"), OLD)
@pytest.mark.parametrize(("policy", "state"), [("refuse", "refused"), ("repick", "valid")])
def test_who_was_at_a_drained_endpoint_goes_by_the_policy(
    conf: dict[str, Any], field: str, policy: str, state: str
) -> None:
    at = next(at for at in range(100) if stick(conf, field.format(at))[0].pick(NONE, "") == DRAINED)
    found, _ = stick({**conf, "when_drained": policy}, field.format(at))
    picked = found.pick(NONE, "")
    assert found.state == state and (picked is None if policy == "refuse" else picked in WEB)


def test_when_all_are_down_but_a_drained_one_that_one_serves() -> None:
    found, _ = stick({"mode": "header", "header": "x"}, "X: 1", of=compiled(*WEB))
    assert found.pick(NONE, "") == DRAINED


def test_who_shows_nothing_goes_where_the_picker_says() -> None:
    for conf in ({"mode": "header", "header": "x"}, {"mode": "tls_session"}, {"mode": "app_cookie", "cookie": "S"}):
        found, _ = stick(conf)
        assert found.state == "none" and found.endpoint is None
        assert {found.pick(NONE, "") for _ in range(8)} == set(WEB)
        assert set_by(found, WEB[0]) == []


def test_a_clients_address_or_network_holds_it() -> None:
    for address in ("192.0.2.7", "2001:db8::7"):
        asked = request(peer=PEER._replace(address=address))
        found = stick_of(Sticky.from_json({"mode": "source_ip"}), compiled(), asked)
        assert found.pick(NONE, "") == owner(address)
    wide = Sticky.from_json({"mode": "source_ip", "ipv4_prefix": 24, "ipv6_prefix": 64})
    assert network_of("192.0.2.7", wide) == network_of("192.0.2.200", wide) == "192.0.2.0/24"
    assert network_of("2001:db8::7", wide) == network_of("2001:db8::1:2", wide) != network_of("2001:db8:0:1::7", wide)


def test_the_address_is_the_one_that_real_ip_found() -> None:
    asked = request()
    asked.remote_addr = "203.0.113.5"
    found = stick_of(Sticky.from_json({"mode": "source_ip"}), compiled(), asked)
    assert found.pick(NONE, "") == owner("203.0.113.5")


def test_a_tls_session_holds_it() -> None:
    tls = Tls("a.example", "TLSv1.2", "", "a1b2c3")
    asked = request(peer=PEER._replace(scheme="https", tls=tls))
    found = stick_of(Sticky.from_json({"mode": "tls_session"}), compiled(), asked)
    assert (found.state, found.pick(NONE, "")) == ("valid", owner("a1b2c3"))


def test_a_new_client_is_given_an_id_that_leads_where_it_was() -> None:
    ids = set()
    for _ in range(20):
        found, asked = stick({"mode": "session_id", "ttl": 60, "same_site": "Lax"})
        endpoint = found.pick(NONE, "")
        assert endpoint is not None and found.state == "new" and cookies(asked) == []
        [given] = set_by(found, endpoint)
        pair, _, attributes = given.decode().partition("; ")
        assert attributes == "Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        again, asked = stick({"mode": "session_id"}, f"Cookie: {pair}")
        assert again.pick(NONE, "") == endpoint and set_by(again, endpoint) == []
        assert cookies(asked) == [pair.encode()], "the endpoint may use it"
        ids.add(pair)
    assert len(ids) == 20 and all(len(pair) == len("SESSIONID=") + 22 for pair in ids)


def test_a_new_client_is_never_refused_for_one_that_is_down() -> None:
    of = compiled(*WEB[:3])
    for _ in range(20):
        found, _ = stick({"mode": "session_id", "when_down": "refuse"}, of=of)
        assert found.pick(NONE, "") == WEB[3]


def test_the_endpoint_can_not_set_the_session_id() -> None:
    found, _ = stick({"mode": "session_id"}, "Cookie: SESSIONID=mine")
    assert set_by(found, owner("mine"), b"SESSIONID=other", b"T=1") == [b"T=1"]
    fresh, _ = stick({"mode": "session_id"})
    [first, second] = set_by(fresh, WEB[0], b"SESSIONID=other", b"T=1")
    assert first == b"T=1" and second.startswith(b"SESSIONID=") and b"other" not in second


APP = {"mode": "app_cookie", "cookie": "S"}


def owner_of_all(shown: str) -> Endpoint:
    found = compiled().whole_ring.pick(NONE, shown)
    assert found is not None
    return found


def test_the_endpoint_that_sets_the_applications_cookie_keeps_the_client() -> None:
    for endpoint in WEB:
        found, _ = stick(APP)
        given = set_by(found, endpoint, b"S=abc; HttpOnly")
        pairs = "; ".join(value.decode().split(";")[0] for value in given)
        assert given[0] == b"S=abc; HttpOnly" and found.state == "new"
        assert len(given) == (1 if owner_of_all("abc") == endpoint else 2)
        again, asked = stick(APP, f"Cookie: {pairs}")
        assert (again.state, again.pick(NONE, "")) == ("valid", endpoint)
        assert cookies(asked) == [b"S=abc"], "ours is nobody's business behind the gateway"
        assert set_by(again, endpoint) == [], "nothing more to say"


def test_ours_counts_for_nothing_once_the_applications_cookie_is_gone() -> None:
    found, asked = stick(APP, f"Cookie: S_UNILB={token(WEB[1])}")
    assert found.endpoint is None and cookies(asked) == []
    assert set_by(found, WEB[1], b"S=; Max-Age=0") == [b"S=; Max-Age=0"]


def test_a_client_that_moved_is_held_by_the_new_endpoint_at_once() -> None:
    of = compiled(WEB[1])
    found, _ = stick(APP, f"Cookie: S=abc; S_UNILB={token(WEB[1])}", of=of)
    moved = found.pick(NONE, "")
    assert moved is not None and found.state == "moved"
    [given] = set_by(found, moved)
    assert given == f"S_UNILB={token(moved)}; Path=/; HttpOnly".encode()


def test_a_forged_cookie_beside_the_applications_counts_for_nothing() -> None:
    found, _ = stick(APP, "Cookie: S=abc; S_UNILB=" + "A" * 22)
    assert found.pick(NONE, "") == owner("abc")


def test_a_new_session_at_another_endpoint_replaces_the_old_cookie_even_where_the_hash_would_do() -> None:
    found, _ = stick(APP, f"Cookie: S=abc; S_UNILB={token(WEB[1])}")
    value = next(text for text in map(str, range(100)) if owner(text) == WEB[2])
    [_, ours] = set_by(found, WEB[2], f"S={value}".encode())
    assert ours.startswith(f"S_UNILB={token(WEB[2])}".encode())


def test_without_keys_the_hash_alone_holds() -> None:
    of = compiled(keys=None)
    found, _ = stick(APP, "Cookie: S=abc", of=of)
    assert found.pick(NONE, "") == owner("abc") and set_by(found, WEB[0], b"S=abc") == [b"S=abc"]


async def login(speaker: Speaker) -> None:
    """An application with sessions of its own: sets one where it knows none, and tells which port answered."""
    port = speaker.writer.get_extra_info("sockname")[1]
    while True:
        head = await speaker.hear_head()
        known = f"APP={port}-".encode() in head
        field = b"" if known else b"Set-Cookie: APP=%d-1; Path=/\r\n" % port
        await speaker.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: 5\r\n\r\n%05d" % (field, port))


@pytest.mark.parametrize("mode", ["app_cookie", "rewrite", "prefix", "session_id"])
async def test_through_the_proxy_a_browser_stays_where_its_session_is(tmp_path: Path, mode: str) -> None:
    conf = {"mode": mode} if mode == "session_id" else {"mode": mode, "cookie": "APP"}
    async with Stage(tmp_path, *[login] * 3, route={"plugins": {"sticky": conf}}) as stage:
        stage.put(("keys/sticky", KEYS.to_json()), prefix="/unilb/")
        for _ in range(6):
            jar: dict[str, str] = {}
            seen = []
            for _ in range(4):
                client = await stage.client()
                shown = "; ".join(f"{name}={value}" for name, value in jar.items())
                await client.say(get("/", *([f"Cookie: {shown}"] if shown else [])))
                head, body = await client.hear_message()
                for line in head.decode().split("\r\n"):
                    if line.startswith("Set-Cookie: "):
                        name, _, value = line.removeprefix("Set-Cookie: ").split(";")[0].partition("=")
                        jar[name] = value
                seen.append(body)
            assert len(set(seen)) == 1
        states = Counter(line["sticky"] for line in stage.log_lines())
        assert states["new"] == 6 and states["valid"] == 18


async def port_of(stage: TlsStage, session: str, version: str) -> tuple[bytes, bool]:
    """Which endpoint answers openssl's client, which keeps its session in a file, and whether that was resumed."""
    is_known = Path(session).exists()  # noqa: ASYNC240
    program = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{stage.tls_port}", "-servername", "a.example", version),
        *("-ign_eof", "-sess_in" if is_known else "-sess_out", session),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await program.communicate(get("/", "Connection: close"))
    return out[out.index(b"\r\n\r\n") + 4 :][:5], b"\nReused, " in out


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_real_client_stays_for_as_long_as_its_tls_session_on_any_gateway(tmp_path: Path, version: str) -> None:
    keys = {"current": "A" * 43 + "=", "since": 1}
    route = {"plugins": {"sticky": {"mode": "tls_session"}}}
    async with (
        TlsStage(tmp_path, login, login, login, login, route=route) as one,
        TlsStage(tmp_path, *one.addresses, route=route) as other,  # another gateway in front of the same endpoints
    ):
        for stage in (one, other):
            stage.put(("keys/tickets", keys), prefix="/unilb/")
        for number in range(3):
            session = str(tmp_path / f"session{number}")
            first, resumed = await port_of(one, session, version)
            assert not resumed
            for stage in (other, one):
                assert await port_of(stage, session, version) == (first, True)
