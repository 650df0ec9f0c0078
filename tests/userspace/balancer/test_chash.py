import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import endpoints, members
from userspace.balancer.chash import MAX_POINTS, ConsistentHash
from userspace.balancer.picker import Member

KEYS = [f"key{at}" for at in range(3000)]


def of_ports(weights: dict[int, int]) -> list[Member]:
    return [Member(Endpoint("127.0.0.1", port, weight), weight) for port, weight in weights.items()]


def owner(picker: ConsistentHash, key: str) -> Endpoint:
    endpoint = picker.pick(key=key)
    assert endpoint is not None
    return endpoint


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ({1980: 1, 1981: 1}, 1980),
        ({1980: 1, 1981: 1, 1982: 1}, 1982),
        ({1980: 50, 1981: 50, 1982: 50}, 1982),
        ({1982: 1, 1980: 1, 1981: 1}, 1982),
    ],
)
def test_127_0_0_1_belongs_where_apisix_sends_it(ports: dict[int, int], port: int) -> None:
    assert owner(ConsistentHash(of_ports(ports)), "127.0.0.1").port == port


def test_the_ring_is_that_of_lua_resty_chash() -> None:
    """Point by point, as its C code makes them: crc32 of the id, then of the point before, little-endian."""
    weights = {"10.0.0.1:80": 2, "10.0.0.2:80": 1, "10.0.0.3:8080": 3}
    points: list[tuple[int, str]] = []
    for address, weight in weights.items():
        id, last = address.replace(":", "\0").encode(), 0
        for _ in range(160 * weight):
            last = zlib.crc32(id + bytes([last & 255, last >> 8 & 255, last >> 16 & 255, last >> 24]))
            points.append((last, address))
    points.sort()
    hosts = [address.split(":") for address in weights]
    picker = ConsistentHash(
        [
            Member(Endpoint(host, int(port), weight), weight)
            for (host, port), weight in zip(hosts, weights.values(), strict=True)
        ]
    )
    for key in KEYS[:500]:
        hashed = zlib.crc32(key.encode())
        expected = next((address for point, address in points if point >= hashed), points[0][1])
        assert owner(picker, key).address == expected


def test_the_point_itself_belongs_to_the_key_that_hashes_to_it_and_the_end_wraps_round() -> None:
    [member] = members(1)
    assert ConsistentHash([member]).pick(key="anything") == member.endpoint
    picker = ConsistentHash(members(1, 1))
    last = max(range(20000), key=lambda at: zlib.crc32(b"%d" % at))
    assert owner(picker, str(last)) in endpoints(1, 1)


def test_shares_follow_weights() -> None:
    counted = Counter(owner(ConsistentHash(members(1, 1, 2)), key).host[-1] for key in KEYS)
    assert 600 < counted["1"] < 900 and 600 < counted["2"] < 900 and 1300 < counted["3"] < 1700


@pytest.mark.parametrize("size", [3, 10])
def test_a_removed_endpoint_moves_its_own_keys_alone(size: int) -> None:
    some = members(*[1] * size)
    before, after = ConsistentHash(some), ConsistentHash(some[1:])
    moved = [key for key in KEYS if owner(before, key) != owner(after, key)]
    assert {owner(before, key) for key in moved} == {some[0].endpoint}
    assert len(moved) < 2 * len(KEYS) / size


@given(st.sets(st.integers(0, 5), max_size=5), st.sampled_from(KEYS))
def test_a_down_endpoint_is_skipped_as_if_it_had_been_tried(down: set[int], key: str) -> None:
    some = members(1, 1, 1, 1, 1, 1)
    gone = {some[at].endpoint for at in down}
    picker = ConsistentHash(some)
    skipped = owner(ConsistentHash(some, gone), key)
    assert skipped not in gone and skipped == picker.pick(gone, key)
    assert skipped == ConsistentHash(some, gone, picker).pick(key=key), "a ring taken over is the same ring"
    if owner(picker, key) not in gone:
        assert skipped == owner(picker, key)


def test_retries_go_round_until_none_is_left() -> None:
    picker = ConsistentHash(members(1, 5, 2), {endpoints(1)[0]})
    tried: set[Endpoint] = set()
    while (endpoint := picker.pick(tried, "k")) is not None:
        assert endpoint not in tried
        tried.add(endpoint)
    assert tried == set(endpoints(1, 5, 2)[1:])
    assert picker.pick({*tried, *endpoints(1)}, "k") is None


def test_who_warms_up_takes_over_key_by_key_and_nobody_else_moves() -> None:
    before = {key: owner(ConsistentHash(members(1, 1)), key) for key in KEYS}
    moved_before: set[str] = set()
    for share in (0.01, 0.1, 0.5, 1.0):
        picker = ConsistentHash(members(1, 1, 1, shares=(1, 1, share)))
        moved = {key for key in KEYS if owner(picker, key) != before[key]}
        assert {owner(picker, key).host[-1] for key in moved} == {"3"}
        assert moved_before <= moved, "a ramp sends no key back"
        moved_before = moved
    assert len(moved_before) > len(KEYS) / 5


def test_big_weights_cost_bounded_memory_and_keep_their_proportion() -> None:
    picker = ConsistentHash(members(2**31 - 1, 2**30, 1))
    assert MAX_POINTS * 0.99 < len(picker._hashes) <= MAX_POINTS + 3
    counted = Counter(owner(picker, key).host[-1] for key in KEYS)
    assert 0.6 < counted["1"] / len(KEYS) < 0.73 and counted["3"] < 10


def test_ipv6_and_odd_keys_have_their_place() -> None:
    picker = ConsistentHash([Member(Endpoint("fd00::1", 80, 1), 1), Member(Endpoint("fd00::2", 80, 1), 1)])
    for key in ("", "\0", "ü", "\udcff", "x" * 10000):
        assert owner(picker, key) == owner(picker, key)
