import random
import struct

import pytest

from tests.requests import request
from userspace.http.footprint import (
    ALWAYS,
    COOKIE,
    EXTRA,
    HOST,
    METHOD,
    NOTHING,
    PATH,
    PEER,
    PORT,
    QUERY,
    USER_AGENT,
    Footprint,
    Guard,
    Key,
    guard_hash,
    guard_of,
    name_hash,
    of_header,
    of_variable,
    union,
)

SEED, FACTOR = 0x0123456789ABCDEF, 0x9E3779B97F4A7C15 | 1
KEY = Key(SEED, FACTOR, 1)


# Made by a C program of the same few lines (uint64_t arithmetic), not by this code.
@pytest.mark.parametrize(
    ("seed", "factor", "data", "expected"),
    [
        (0, 1, b"", 1),
        (0x9E3779B97F4A7C15, 1, b"", 0x9E3779B97F4A7C15),
        (0x0123456789ABCDEF, 0x9E3779B97F4A7C15, b"GET", 0x385B379BD21C0027),
        (0x0123456789ABCDEF, 0x9E3779B97F4A7C15, b"/a/b%20c", 0x9E73B3B17D35CA3B),
        (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, b"\xff\x80\x01 blue", 0x00810120626C756D),
        (0xDEADBEEFCAFEF00D, 0x0000000000000003, b"x-tenant", 0x5C5DA082B290A318),
        (0x0000000000000001, 0xD6E8FEB86659FD93, b"any.example:8080", 0x4499E4658BCAA3F2),
    ],
)
def test_hashes_are_those_of_the_kernel(seed: int, factor: int, data: bytes, expected: int) -> None:
    assert guard_hash(seed, factor, data) == expected


def test_a_hash_depends_on_the_key_and_every_byte() -> None:
    hashes = {
        guard_hash(seed, factor, data)
        for seed in (SEED, SEED >> 7)
        for factor in (FACTOR, 0xD6E8FEB86659FD93)
        for data in (b"a", b"b", b"ab", b"ba", b"ab\x00")
    }
    assert len(hashes) == 2 * 2 * 5


# What two words may differ by behind a first that differs in its highest bit, so that a product with a known number
# hides it once in 250 times, whatever the key (tests/bpf/test_splice.py); and what one multiplication by any would.
DIFFERENCES = (0xC065420C832A1054, 0x40A54208852A1054, 0xC0A5420C852A1054, 0x40654208832A1054, 1 << 63, 0x80, 1 << 31)


def test_who_does_not_know_the_key_finds_no_two_values_of_one_hash() -> None:
    rng = random.Random(11)
    for _ in range(3000):
        seed, factor, first, second = (rng.getrandbits(64) for _ in range(4))
        factor |= 1
        one = guard_hash(seed, factor, struct.pack("<QQ", first, second))
        for difference in DIFFERENCES:
            other = struct.pack("<QQ", first ^ 1 << 63, second ^ difference)
            assert guard_hash(seed, factor, other) != one


def test_the_case_of_a_headers_name_does_not_matter() -> None:
    assert name_hash(SEED, FACTOR, b"X-Tenant") == name_hash(SEED, FACTOR, b"x-tenant")
    assert name_hash(SEED, FACTOR, b"x-tenant") != name_hash(SEED, FACTOR, b"x_tenant")


def guard(*fields: str, target: str = "/a", mask: int = ALWAYS, extra: str = "", decided: str = "r1") -> Guard | None:
    made = request("GET", target, *fields)
    return guard_of(KEY, made.head, made.head.headers, Footprint(mask, extra), [decided])


def test_a_guard_has_the_hashes_of_what_it_watches() -> None:
    mask = ALWAYS | QUERY | COOKIE | EXTRA
    made = guard(
        "Cookie: a=1", "User-Agent: x", "X-Tenant: blue", target="/a?b=1?c", mask=mask | PEER, extra="x-tenant"
    )
    assert made is not None
    values = {0: b"GET", 1: b"any.example", 2: b"/a", 3: b"?b=1?c", 4: b"a=1", 7: b"blue"}
    assert made.hashes == tuple(
        guard_hash(SEED, FACTOR, values[number]) if number in values else 0 for number in range(8)
    )
    assert (made.mask, made.extra_name) == (mask, name_hash(SEED, FACTOR, b"X-TENANT"))


def test_what_is_empty_is_not_what_is_absent() -> None:
    absent, empty = (
        guard(*fields, target=target, mask=ALWAYS | QUERY | COOKIE)
        for fields, target in (([], "/a"), (["Cookie:"], "/a?"))
    )
    assert absent is not None and empty is not None
    assert (absent.hashes[3], absent.hashes[4]) == (0, 0)
    assert (empty.hashes[3], empty.hashes[4]) == (guard_hash(SEED, FACTOR, b"?"), guard_hash(SEED, FACTOR, b""))


def test_a_decision_covers_other_paths_and_nothing_else() -> None:
    base = guard("Cookie: a=1", mask=ALWAYS | COOKIE)
    assert base is not None
    other = guard("Cookie: a=1", target="/b", mask=ALWAYS | COOKIE)
    assert other is not None and other.decision == base.decision and other.hashes != base.hashes
    for changed in (
        guard("Cookie: a=2", mask=ALWAYS | COOKIE),
        guard("Cookie: a=1", mask=ALWAYS | COOKIE | QUERY),
        guard("Cookie: a=1", mask=ALWAYS | COOKIE | EXTRA, extra="x-a"),
        guard("Cookie: a=1", mask=ALWAYS | COOKIE, decided="r2"),
    ):
        assert changed is not None and changed.decision != base.decision
    made = request("GET", "/a", "Cookie: a=1")
    later = guard_of(KEY._replace(epoch=2), made.head, made.head.headers, Footprint(ALWAYS | COOKIE), ["r1"])
    assert later is not None and later.hashes == base.hashes and later.decision != base.decision


def test_a_request_that_the_kernel_would_read_otherwise_has_no_guard() -> None:
    assert guard(target="http://any.example/a") is None
    assert guard("Cookie: a=1", "Cookie: b=2") is None
    assert guard("X-A: 1", "x-a: 2", mask=ALWAYS | EXTRA, extra="x-a") is None
    assert guard("X-A: 1", "x-a: 2") is not None
    made = request()
    made.head.version = "1.0"
    assert guard_of(KEY, made.head, made.head.headers, Footprint(ALWAYS), []) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uri", Footprint(PATH)),
        ("request_uri", Footprint(PATH | QUERY)),
        ("arg_a", Footprint(QUERY)),
        ("cookie_a", Footprint(COOKIE)),
        ("http_cookie", Footprint(COOKIE)),
        ("http_user_agent", Footprint(USER_AGENT)),
        ("http_host", Footprint(HOST)),
        ("http_X_Tenant", Footprint(EXTRA, "x-tenant")),
        ("request_method", Footprint(METHOD)),
        ("remote_addr", Footprint(PEER)),
        ("remote_port", Footprint(PORT)),
        ("route_id", NOTHING),
        ("http_content_length", None),
        ("http_upgrade", None),
        ("content_type", None),
        ("post_arg.a", None),
        ("post_arg_a", None),
        ("graphql_name", None),
        ("request_time", None),
        ("sent_http_x", None),
        ("status", None),
        ("http_", None),
        ("unheard_of", None),
    ],
)
def test_what_a_variable_depends_on(name: str, expected: Footprint | None) -> None:
    assert of_variable(name) == expected


def test_footprints_add_up_unless_they_need_two_headers_of_choice() -> None:
    one, other = of_header("X-A"), of_header("X-B")
    assert union([Footprint(PATH), one, Footprint(QUERY), one]) == Footprint(PATH | QUERY | EXTRA, "x-a")
    assert union([one, other]) is union([Footprint(PATH), None]) is None
    assert union([]) == NOTHING
