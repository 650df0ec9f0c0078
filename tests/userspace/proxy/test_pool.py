import socket
from typing import Any

from control.model.upstream import Endpoint, KeepalivePool, Upstream
from userspace.obs.counters import Counters
from userspace.proxy.pool import Pools
from userspace.proxy.wheel import Wheel

ONE, TWO = Endpoint("10.0.0.1", 80, 1), Endpoint("10.0.0.2", 80, 1)


class Connection:
    """What a pool asks of a connection."""

    def __init__(self, fileno: int = -1) -> None:
        self.is_counted = self.is_usable = True
        self.is_closed = False
        self.served = 1
        self.secure: object = None
        self.fileno = fileno

    def close(self) -> None:
        self.is_closed = True

    abort = close


def upstream(*endpoints: Endpoint, size: int = 320, idle_timeout: float = 60, requests: int = 1000) -> Upstream:
    return Upstream("u", "roundrobin", endpoints, keepalive_pool=KeepalivePool(size, idle_timeout, requests))


def pools(limit: int = 10, max_idle: int = 64) -> Pools:
    loop: Any = None  # the wheel does not tick here
    return Pools(Wheel(loop), Counters(), limit, max_idle)


def test_the_newest_idle_connection_is_taken_first() -> None:
    pool = pools().of(upstream(ONE), ONE)
    old, new = Connection(), Connection()
    assert pool.give_back(old) and pool.give_back(new)  # type: ignore[arg-type]
    assert [pool.take(False), pool.take(False), pool.take(False)] == [new, old, None]


def test_the_longest_idle_connection_makes_room_for_one_given_back() -> None:
    pool = pools(max_idle=1).of(upstream(ONE), ONE)
    old, new = Connection(), Connection()
    pool.give_back(old)  # type: ignore[arg-type]
    pool.give_back(new)  # type: ignore[arg-type]
    assert old.is_closed and pool.idle == [new]


def test_worn_out_connections_and_upstreams_without_keep_alive_keep_nothing() -> None:
    worn = Connection()
    worn.served = 1000
    assert not pools().of(upstream(ONE), ONE).give_back(worn)  # type: ignore[arg-type]
    assert not pools().of(upstream(ONE, idle_timeout=0), ONE).give_back(Connection())  # type: ignore[arg-type]


def test_a_probe_passes_over_connections_that_the_endpoint_closed() -> None:
    ours, theirs = socket.socketpair()
    quiet, peer = socket.socketpair()
    theirs.close()
    pool = pools().of(upstream(ONE), ONE)
    closed, good = Connection(ours.fileno()), Connection(quiet.fileno())
    for connection in (good, closed):
        pool.give_back(connection)  # type: ignore[arg-type]
    assert pool.take(True) is good and closed.is_closed
    for sock in (ours, quiet, peer):
        sock.close()


def test_pools_survive_a_new_version_of_their_upstream_and_take_its_limits() -> None:
    all_pools = pools()
    first = all_pools.of(upstream(ONE, TWO), ONE)
    first.open = 1
    renewed = upstream(Endpoint("10.0.0.1", 80, 5), size=7)
    assert all_pools.of(renewed, renewed.endpoints[0]) is first and first.keep == 7


def test_endpoints_of_equal_address_in_two_upstreams_do_not_share_connections() -> None:
    all_pools = pools()
    other = Upstream("other", "roundrobin", (ONE,))
    assert all_pools.of(upstream(ONE), ONE) is not all_pools.of(other, ONE)


def test_a_sweep_forgets_what_is_empty() -> None:
    all_pools = pools()
    version = upstream(ONE, TWO)
    kept, empty = all_pools.of(version, ONE), all_pools.of(version, TWO)
    kept.open = 1
    all_pools.sweep()
    assert all_pools.of(version, ONE) is kept and all_pools.of(version, TWO) is not empty


def test_forgetting_twice_counts_once() -> None:
    pool = pools(limit=2).of(upstream(ONE), ONE)
    pool.open = 2
    connection = Connection()
    assert pool.is_full
    pool.forget(connection)  # type: ignore[arg-type]
    pool.forget(connection)  # type: ignore[arg-type]
    assert pool.open == 1 and not pool.is_full


def test_counts_tell_busy_from_idle() -> None:
    all_pools = pools()
    pool = all_pools.of(upstream(ONE), ONE)
    pool.open = 3
    pool.give_back(Connection())  # type: ignore[arg-type]
    assert all_pools.counts() == (2, 1)


def test_an_idle_connection_goes_to_requests_that_want_it_secured_so() -> None:
    pool = pools().of(upstream(ONE), ONE)
    plain, one, two = Connection(), Connection(), Connection()
    one.secure, two.secure = "one", "two"
    for connection in (one, plain, two):
        assert pool.give_back(connection)  # type: ignore[arg-type]
    asked: list[Any] = ["one", "one", None, None, "two"]
    taken = [pool.take(False, wanted) for wanted in asked]
    assert taken == [one, None, plain, None, two]
