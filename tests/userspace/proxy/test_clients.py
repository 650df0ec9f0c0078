"""Counting the connections of each client."""

from userspace.proxy.clients import Clients


def test_each_address_has_its_own_count_and_ends_make_room() -> None:
    clients = Clients(2)
    assert [clients.enter("203.0.113.9") for _ in range(3)] == [True, True, False]
    assert clients.enter("203.0.113.10")
    clients.leave("203.0.113.9")
    assert clients.enter("203.0.113.9") and not clients.enter("203.0.113.9")


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    clients = Clients(1)
    assert clients.enter("2001:db8::1")
    assert not clients.enter("2001:db8:0:0:ffff::2")
    assert clients.enter("2001:db8:0:1::1")
    assert clients.enter("::ffff:203.0.113.9") and not clients.enter("::ffff:cb00:7109")
    assert clients.enter("::ffff:203.0.113.10")


def test_nothing_is_kept_of_those_that_left_or_when_there_is_no_limit() -> None:
    for limit in (0, 5):
        clients = Clients(limit)
        assert all(clients.enter("203.0.113.9") for _ in range(5))
        for _ in range(5):
            clients.leave("203.0.113.9")
        assert clients._counts == {}
