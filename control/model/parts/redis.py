"""Counters in Redis: the fields that a plugin's `policy` demands."""

from typing import Final

from control.model.terms import Schema, choice, flag, integer, items, needs, record, text

_KEPT_REDIS: Schema = {
    "redis_keepalive_timeout": integer(1000, default=10000),
    "redis_keepalive_pool": integer(1, default=100),
}
REDIS: Schema = {
    "redis_host": text(2),
    "redis_port": integer(1, default=6379),
    "redis_username": text(1),
    "redis_password": text(0),
    "redis_database": integer(0, default=0),
    "redis_timeout": integer(1, default=1000),
    "redis_ssl": flag(False),
    "redis_ssl_verify": flag(False),
    **_KEPT_REDIS,
}
REDIS_CLUSTER: Schema = {
    "redis_password": text(0),
    "redis_cluster_nodes": items(text(2, 100), 1),
    "redis_cluster_name": text(),
    "redis_cluster_ssl": flag(False),
    "redis_cluster_ssl_verify": flag(False),
    "redis_timeout": integer(1, default=1000),
    **_KEPT_REDIS,
}
REDIS_SENTINEL: Schema = {
    "redis_sentinels": items(record({"host": text(2), "port": integer(1, 65535)}, ["host", "port"], closed=True), 1),
    "redis_master_name": text(1),
    "redis_role": choice("master", "slave", default="master"),
    "redis_username": text(1),
    "redis_password": text(0),
    "sentinel_username": text(1),
    "sentinel_password": text(0),
    "redis_database": integer(0, default=0),
    "redis_connect_timeout": integer(1, default=1000),
    "redis_read_timeout": integer(1, default=1000),
    "redis_keepalive_timeout": integer(1, default=60000),
}

BY_POLICY: Final = {"redis": REDIS, "redis-cluster": REDIS_CLUSTER, "redis-sentinel": REDIS_SENTINEL}
"""The fields of each policy. They stand in branches of the schema, so whoever uses them fills their defaults in."""


def _policy(name: str) -> Schema:
    return {"properties": {"policy": {"enum": [name]}}}


def redis_if(sentinel: bool = False, more: Schema | None = None) -> Schema:
    """What `policy` demands: nothing when it is local; the fields of redis, of a cluster, of sentinels otherwise."""
    more = more or {}
    cluster: Schema = {
        "if": _policy("redis-cluster"),
        "then": {"properties": {**REDIS_CLUSTER, **more}, **needs("redis_cluster_nodes", "redis_cluster_name")},
    }
    if sentinel:
        cluster["else"] = {
            "if": _policy("redis-sentinel"),
            "then": {"properties": REDIS_SENTINEL, **needs("redis_sentinels", "redis_master_name")},
        }
    return {
        "if": _policy("redis"),
        "then": {"properties": {**REDIS, **more}, **needs("redis_host")},
        "else": cluster,
    }
