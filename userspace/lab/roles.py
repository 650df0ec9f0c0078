"""What each role asks of its kernel."""

from typing import Literal

# Where a node's programs receive from the underlay: `unilb node --hook`.
Hook = Literal["auto", "tcx", "clsact", "xdp", "xdpgeneric"]

Role = Literal["router", "control", "l4", "gateway", "web", "vpc-host", "client"]

# Ten thousand connections at once, opened quickly, must not meet a default limit of the lab before one of unilb.
_MANY_CONNECTIONS = {
    "net/ipv4/ip_local_port_range": "1024 65535",
    "net/core/somaxconn": "65535",
    "net/ipv4/tcp_max_syn_backlog": "65535",
}

# Linux takes the larger of conf/all and conf/<device>: both must be 0 where packets come and go by different ways
# (the l4 and gateway machines send from addresses that no route leads back to).
_ASYMMETRIC = {"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0"}

SYSCTLS: dict[Role, dict[str, str]] = {
    "router": {"net/ipv4/ip_forward": "1", **_ASYMMETRIC},
    # bpf_fib_lookup refuses to answer for a device that does not forward.
    "l4": {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0", **_ASYMMETRIC},
    "gateway": {"net/ipv4/ip_forward": "0", **_ASYMMETRIC, **_MANY_CONNECTIONS},
    "web": _MANY_CONNECTIONS,
    "control": _MANY_CONNECTIONS,
    "vpc-host": {"net/ipv4/ip_forward": "0", **_ASYMMETRIC},
    "client": _MANY_CONNECTIONS,
}
VM_SYSCTLS = _MANY_CONNECTIONS
