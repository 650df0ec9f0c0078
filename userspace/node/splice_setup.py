"""Splicing put together over a gateway's datapath."""

import resource
from collections.abc import Callable
from pathlib import Path

from userspace.node import bpf, resets
from userspace.node.datapath import Datapath
from userspace.node.handing_over import HandingOver
from userspace.node.ring import Ring
from userspace.node.routes import Routes
from userspace.node.splice_abi import Splice
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_ageing import SpliceLimits
from userspace.node.splice_guard import SpliceGuard
from userspace.node.splice_table import NAMES, SpliceTable
from userspace.node.splicing import Splicing
from userspace.node.toa_peers import ToaPeers


def splicing_over(
    datapath: Datapath, underlay: int, limits: SpliceLimits, names: Path, count_resets: Callable[[int], None]
) -> Splicing | None:
    """Return what splices over this datapath, None where its programs do not carry splices.

    underlay: index of the device they are attached to. names: the file of SpliceAccounts. count_resets is told how
    many packets left.
    """
    ring = datapath.root / "splice_events"
    if not ring.exists() or not all(name in datapath.tables for name in NAMES):
        return None
    # A splice costs a descriptor here for as long as it lives, and one more until its tail is acknowledged.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def tell(splice: Splice, to_client: bool) -> None:
        count_resets(resets.reset_splice(datapath.tables, splice, to_client))

    def tell_endpoint(splice: Splice, packets: list[bytes]) -> None:
        resets.send(resets.towards_endpoint(splice, packets, *resets.around(datapath.tables, splice)))

    table = SpliceTable(datapath.tables)
    used: list[Splicing] = []
    accounts = SpliceAccounts(datapath.tables["splice_counts"], names, lambda index: used[0].in_use(index))
    guard = SpliceGuard(datapath.tables, accounts.of_upstreams)
    peers = ToaPeers(datapath.programs.get("toa_peername"))
    over = HandingOver(table, guard, accounts, Routes(), peers, underlay, tell_endpoint)
    used.append(Splicing(table, guard, over, accounts, Ring(bpf.get_pinned(ring)), tell, limits))
    return used[0]
