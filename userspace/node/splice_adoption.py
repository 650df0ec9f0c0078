"""What an earlier node left in the kernel: taken over where nothing is missing, ended where something is."""

from collections.abc import Iterator

from userspace.node import abi, tcp_leg, tcp_rebuild
from userspace.node.splice_abi import Flag, Kind, Splice, State
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_held import Held
from userspace.node.splice_table import SpliceTable


def adopt(table: SpliceTable, accounts: SpliceAccounts) -> Iterator[tuple[Held, str]]:
    """Yield every splice, with the reason why it has to end now, or ""."""
    table.orphans()
    for id, splice in table.living():
        account = splice.account
        held = Held(id, splice.generation, Kind(splice.kind or Kind.OPAQUE), account, accounts.owner(account))
        if splice.client_port:
            held.address = abi.text(splice.client), splice.client_port
        yield held, _trouble(splice, held)


def _trouble(splice: Splice, held: Held) -> str:
    if splice.state == State.TAIL:
        return "adopted_tail"  # its socket died with the node, and has sent, or will, a FIN
    if splice.state == State.BACK:
        return "adopted_back"  # what was held of it is lost
    if not _is_free(splice.from_[0]):
        return "adopted_tail"
    if not splice.flags & Flag.VPC:
        try:
            held.endpoint = tcp_rebuild.lease(*_ends(splice.from_[1]))
        except OSError:
            return "lease"  # its addresses have been given to another connection meanwhile
    return ""


def _is_free(flow: abi.Flow) -> bool:
    """Return whether no socket is left of the client's: one that the node's death closed sends a FIN of its own."""
    try:
        tcp_leg.vanish(tcp_rebuild.lease(*_ends(flow)))
    except OSError:
        return False
    return True


def _ends(flow: abi.Flow) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return (local, peer) of the leg whose packets arrive so."""
    return (abi.text(flow.daddr), flow.dport), (abi.text(flow.saddr), flow.sport)
