"""Where counts stand that gateways share: the Redis servers of a configuration, and what is asked of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha1
from typing import Any, Final, Protocol

from control.model.defaults import fill
from control.model.parts.redis import BY_POLICY
from userspace.net import join_host_port, split_host_port

LOCAL: Final = "local"
SINGLE: Final = "redis"
CLUSTER: Final = "redis-cluster"
SENTINEL: Final = "redis-sentinel"
LONGEST_KEY: Final = 256
"""Bytes of a key; of a longer one, which a client can make, the digest stands for the rest."""
LONGEST_WAIT: Final = 86_400
"""Seconds, of any time-out: the timers of event loops have their limits."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Servers:
    """Who keeps the counts of a configuration, and how they are reached. Times in seconds. `addresses`: the server;
    some nodes of the cluster; the sentinels, who know where `master` is. `connections`: at most, per worker; one that
    nobody used for `idle` is closed."""

    policy: str
    addresses: tuple[Address, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    connect_timeout: float = 1.0
    timeout: float = 1.0
    tls: bool = False
    verify: bool = False
    connections: int = 100
    idle: float = 10.0
    master: str = ""
    is_replica: bool = False
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        where = ", ".join(join_host_port(*address) for address in self.addresses)
        return f"{self.policy} {where}" + (f" {self.master}" if self.master else "")


@dataclass(frozen=True, slots=True)
class Script:
    """What a server does in one step. `sha`: the name that it knows the text by."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


Answer = list[Any] | None
"""What the script returned: whole numbers, and text as bytes. None: nobody answered; why was told and counted."""


class Counts(Protocol):
    """Asks servers (`userspace/proxy/redis_counts.py`). Bounded; what is too much is answered None."""

    def ask(
        self, servers: Servers, script: Script, key: str, arguments: tuple[str, ...], answered: Callable[[Answer], None]
    ) -> None:
        """Have `script` run on `key`; `answered` is called once, by and by, never at once."""
        ...


def servers_of(conf: Mapping[str, Any]) -> Servers | None:
    """Return who keeps the counts of a configuration; None: this machine. Raises ValueError for an address that is
    none."""
    policy = conf.get("policy", LOCAL)
    if policy == LOCAL:
        return None
    conf = fill({"properties": BY_POLICY[policy]}, dict(conf))
    password = conf.get("redis_password") or None
    addresses = tuple(_addresses(conf, policy))
    servers = Servers(policy, addresses, conf.get("redis_username") if password else None, password)
    servers = replace(servers, idle=_seconds(conf, "redis_keepalive_timeout"))
    if policy == SENTINEL:
        sentinel_password = conf.get("sentinel_password") or None
        return replace(
            servers,
            database=conf["redis_database"],
            connect_timeout=_seconds(conf, "redis_connect_timeout"),
            timeout=_seconds(conf, "redis_read_timeout"),
            master=conf["redis_master_name"],
            is_replica=conf["redis_role"] == "slave",
            sentinel_username=conf.get("sentinel_username") if sentinel_password else None,
            sentinel_password=sentinel_password,
        )
    timeout = _seconds(conf, "redis_timeout")
    kind = "redis_cluster" if policy == CLUSTER else "redis"
    return replace(
        servers,
        database=conf.get("redis_database", 0),
        connect_timeout=timeout,
        timeout=timeout,
        tls=conf[f"{kind}_ssl"],
        verify=conf[f"{kind}_ssl_verify"],
        connections=conf["redis_keepalive_pool"],
    )


def _seconds(conf: Mapping[str, Any], field: str) -> float:
    return float(min(conf[field], LONGEST_WAIT * 1000) / 1000)


def _addresses(conf: Mapping[str, Any], policy: str) -> Iterator[Address]:
    if policy == SENTINEL:
        yield from ((server["host"], int(server["port"])) for server in conf["redis_sentinels"])
    elif policy == CLUSTER:
        yield from (split_host_port(node) for node in conf["redis_cluster_nodes"])
    else:
        yield conf["redis_host"], conf["redis_port"]


def bounded(key: str) -> str:
    """Return a key of at most LONGEST_KEY bytes."""
    data = key.encode("utf-8", "surrogateescape")
    if len(data) <= LONGEST_KEY:
        return key
    digest = blake2b(data, digest_size=16).hexdigest()
    return data[: LONGEST_KEY - len(digest)].decode("utf-8", "ignore") + digest
