"""Unique IPs where nothing allocates them: derived from VPC and address, the same on every machine. Pure."""

import hashlib
from collections.abc import Mapping
from ipaddress import ip_address

from control.allocate.pool import Pool, Pools
from control.model.vpc import Vpc

Endpoint = tuple[str, str]  # id of the VPC, address in it


def derive_unique_ips(vpcs: Mapping[str, Vpc], pools: Pools) -> dict[Endpoint, str]:
    """A unique IP for each endpoint of `vpcs`: its own if it names one, else one of its family's pool that no other
    has.

    Where two would have the same, the later (by VPC id, then address) takes the next free one. Raises ValueError when
    a pool is too small.
    """
    families = [{id: vpc for id, vpc in vpcs.items() if (":" in vpc.cidr) == is6} for is6 in (False, True)]
    return {
        endpoint: unique
        for family, pool in zip(families, (pools.unique_ips, pools.unique_ips6), strict=True)
        for endpoint, unique in _derive(family, pool).items()
    }


def _derive(vpcs: Mapping[str, Vpc], pool: Pool) -> dict[Endpoint, str]:
    endpoints = sorted((id, int(ip_address(ip)), ip) for id, vpc in vpcs.items() for ip in vpc.endpoints)
    chosen = {(id, ip): vpcs[id].endpoints[ip].unique_ip for id, _, ip in endpoints}
    taken = {unique for unique in chosen.values() if unique}
    count = pool.network.num_addresses - 2
    if len(chosen) > count:
        raise ValueError(f"{len(chosen)} endpoints in VPCs, {pool.network} has {count} unique IPs")
    for endpoint, unique in chosen.items():
        if unique:
            continue
        number = int.from_bytes(hashlib.blake2b("/".join(endpoint).encode(), digest_size=8).digest(), "big")
        while (unique := str(pool.network[1 + number % count])) in taken:
            number += 1
        taken.add(unique)
        chosen[endpoint] = unique
    return chosen
