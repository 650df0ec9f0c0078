"""Unique IPs where nothing allocates them: derived from VPC and address, the same on every machine. Pure."""

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Address

from control.allocate.pool import Pool
from control.model.vpc import Vpc

Endpoint = tuple[str, str]  # id of the VPC, address in it


def derive_unique_ips(vpcs: Mapping[str, Vpc], pool: Pool) -> dict[Endpoint, str]:
    """A unique IP for each endpoint of `vpcs`: its own if it names one, else one of the pool that no other has.

    Where two would have the same, the later (by VPC id, then address) takes the next free one. Raises ValueError when
    the pool is too small.
    """
    endpoints = sorted((id, IPv4Address(ip)) for id, vpc in vpcs.items() for ip in vpc.endpoints)
    chosen = {(id, str(ip)): vpcs[id].endpoints[str(ip)].unique_ip for id, ip in endpoints}
    taken = {unique for unique in chosen.values() if unique}
    first, count = int(pool.network.network_address) + 1, pool.network.num_addresses - 2
    if len(chosen) > count:
        raise ValueError(f"{len(chosen)} endpoints in VPCs, {pool.network} has {count} unique IPs")
    for endpoint, unique in chosen.items():
        if unique:
            continue
        number = int.from_bytes(hashlib.blake2b("/".join(endpoint).encode(), digest_size=8).digest(), "big")
        while (unique := str(IPv4Address(first + number % count))) in taken:
            number += 1
        taken.add(unique)
        chosen[endpoint] = unique
    return chosen
