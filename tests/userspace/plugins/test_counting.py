"""Who keeps the counts of a configuration."""

from typing import Any

import pytest

from userspace.plugins.counting import LONGEST_KEY, Script, bounded, servers_of

SENTINEL: dict[str, Any] = {
    "policy": "redis-sentinel",
    "redis_sentinels": [{"host": "a", "port": 1}, {"host": "b", "port": 2}],
    "redis_master_name": "m",
}


def test_counts_stand_on_this_machine_unless_a_policy_says_else() -> None:
    assert servers_of({}) is None and servers_of({"policy": "local", "redis_host": "a"}) is None


def test_what_a_server_leaves_open_has_its_defaults() -> None:
    servers = servers_of({"policy": "redis", "redis_host": "ho"})
    assert servers is not None
    assert (servers.addresses, servers.database, servers.timeout) == ((("ho", 6379),), 0, 1.0)
    assert (servers.tls, servers.verify, servers.connections, servers.idle) == (False, False, 100, 10.0)


def test_a_server_is_reached_as_it_says() -> None:
    servers = servers_of(
        {
            **{"policy": "redis", "redis_host": "ho", "redis_port": 7, "redis_database": 3, "redis_timeout": 250},
            **{"redis_ssl": True, "redis_ssl_verify": True, "redis_keepalive_pool": 2, "redis_keepalive_timeout": 1500},
            **{"redis_username": "u", "redis_password": "secret"},
        }
    )
    assert servers is not None
    assert (servers.addresses, servers.database, servers.timeout, servers.idle) == ((("ho", 7),), 3, 0.25, 1.5)
    assert (servers.tls, servers.verify, servers.connections) == (True, True, 2)
    assert (servers.username, servers.password) == ("u", "secret")
    assert "secret" not in repr(servers) and str(servers) == "redis ho:7"


def test_no_time_is_longer_than_a_day() -> None:
    long = {"redis_timeout": 10**30, "redis_keepalive_timeout": 10**9}
    servers = servers_of({"policy": "redis", "redis_host": "ho", **long})
    assert servers is not None
    assert (servers.connect_timeout, servers.timeout, servers.idle) == (86_400, 86_400, 86_400)


def test_a_user_without_a_password_is_none_as_in_apisix() -> None:
    servers = servers_of({"policy": "redis", "redis_host": "ho", "redis_username": "u", "redis_password": ""})
    assert servers is not None and (servers.username, servers.password) == (None, None)


def test_a_cluster_is_known_by_some_of_its_nodes() -> None:
    conf = {"policy": "redis-cluster", "redis_cluster_nodes": ["a:1", "[::1]:2"], "redis_cluster_name": "c"}
    servers = servers_of({**conf, "redis_cluster_ssl": True})
    assert servers is not None and servers.addresses == (("a", 1), ("::1", 2)) and servers.tls
    with pytest.raises(ValueError):
        servers_of({**conf, "redis_cluster_nodes": ["a"]})


def test_sentinels_have_a_password_of_their_own() -> None:
    servers = servers_of({**SENTINEL, "sentinel_username": "s", "sentinel_password": "p", "redis_read_timeout": 20})
    assert servers is not None and str(servers) == "redis-sentinel a:1, b:2 m"
    assert (servers.sentinel_username, servers.sentinel_password, servers.password) == ("s", "p", None)
    assert (servers.connect_timeout, servers.timeout, servers.idle, servers.is_replica) == (1.0, 0.02, 60.0, False)
    replica = servers_of({**SENTINEL, "redis_role": "slave"})
    assert replica is not None and replica.is_replica


def test_a_long_key_is_cut_and_stays_its_own() -> None:
    long = "é" * 300
    assert bounded("short") == "short"
    assert len(bounded(long).encode()) <= LONGEST_KEY and bounded(long) != bounded(long + "x")
    assert bounded(long) == bounded(long)


def test_a_script_is_known_by_its_sha1() -> None:
    assert Script.of("return 1").sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
