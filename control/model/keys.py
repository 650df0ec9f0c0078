"""The key space of the store: which key holds what.

`/apisix/...` is laid out as APISIX lays it out, so that an APISIX gateway could read it; `/unilb/...` is ours.
"""

PREFIXES = {
    "route": "/apisix/routes/",
    "service": "/apisix/services/",
    "plugin_config": "/apisix/plugin_configs/",
    "upstream": "/apisix/upstreams/",
    "global_rule": "/apisix/global_rules/",
    "consumer": "/apisix/consumers/",
    "consumer_group": "/apisix/consumer_groups/",
    "ssl": "/apisix/ssls/",
    "plugin_metadata": "/apisix/plugin_metadata/",
    "stream_route": "/apisix/stream_routes/",
    "proto": "/apisix/protos/",
    "secret": "/apisix/secrets/",
    "vpc": "/unilb/vpcs/",
    "vip": "/unilb/vips/",
    "node": "/unilb/nodes/",
    "eip": "/unilb/eips/",
    "keys": "/unilb/keys/",
}
STICKY_KEYS = "/unilb/keys/sticky"
TICKET_KEYS = "/unilb/keys/tickets"
# Ownership records: written in the transaction that writes their VPC, read by control only.
UNIQUE_IPS = "/unilb/unique_ips/"
VNIS = "/unilb/vnis/"
# The same for local addresses of nodes, addresses of VIPs, and EIPs.
ADDRESSES = "/unilb/addresses/"
# What nodes say of themselves. The name sorts behind all that nodes watch: etcd's watch is one range over that, and a
# report must not travel to every other node.
REPORTS = "/unilb/~reports/"
# One key per referenced object (or set); see control/admin/README.md, "References".
USES = "/unilb/uses/"
# What gateways list and watch, in this order: who refers before who is referred to.
SERVED = (
    "route", "stream_route", "service", "plugin_config", "global_rule", "consumer", "consumer_group", "plugin_metadata",
    "upstream", "ssl", "vpc", "vip", "node", "keys",
)  # fmt: skip
CONFIGURATION = tuple(PREFIXES[kind] for kind in SERVED)

_CREDENTIALS = "/credentials/"
_DECORATIONS = "/graphql_cost_decorations/"
# What stands below an object of a kind: the part of the key between the two ids, and its kind.
_BELOW = {"consumer": (_CREDENTIALS, "credential"), "service": (_DECORATIONS, "graphql_cost_decoration")}
_OWNER = {below: kind for kind, (_, below) in _BELOW.items()}
_KIND_BY_PREFIX = {prefix: kind for kind, prefix in PREFIXES.items()}
_PLACEHOLDER_VALUES = (b"init_dir", b"{}")


def key_of(kind: str, id: str) -> str:
    """The key of one object: ("route", "1") -> "/apisix/routes/1", ("credential", "jack/credentials/x") below its
    consumer."""
    return PREFIXES[_OWNER.get(kind, kind)] + id


def credentials_of(username: str) -> str:
    """The prefix of the credentials of a consumer, which stand below it."""
    return f"{PREFIXES['consumer']}{username}{_CREDENTIALS}"


def decorations_of(service_id: str) -> str:
    """The prefix of the GraphQL cost decorations of a service, which stand below it."""
    return f"{PREFIXES['service']}{service_id}{_DECORATIONS}"


def kind_of(key: str) -> tuple[str, str] | None:
    """("route", "1") for "/apisix/routes/1"; None for a key that holds no object of ours.

    The id of a secret is "vault/1", that of a credential "jack/credentials/1", that of a decoration
    "s1/graphql_cost_decorations/1". None also for `/apisix/routes/`, where `apisix init` writes the placeholder
    `init_dir`, and for keys nested deeper.
    """
    kind = _KIND_BY_PREFIX.get(key[: key.find("/", key.find("/", 1) + 1) + 1])
    if kind is None:
        return None
    id = key[len(PREFIXES[kind]) :]
    if kind == "secret":
        return (kind, id) if id.count("/") == 1 and not id.startswith("/") and not id.endswith("/") else None
    between, kind_below = _BELOW.get(kind, ("", ""))
    if between and between in id:
        owner, _, own = id.partition(between)
        return (kind_below, id) if owner and own and "/" not in owner + own else None
    return (kind, id) if id and "/" not in id else None


def is_placeholder(key: str, value: bytes) -> bool:
    """True for the directory marks that `apisix init` writes: key with a final slash, value `init_dir` or `{}`."""
    return key.endswith("/") and value in _PLACEHOLDER_VALUES
