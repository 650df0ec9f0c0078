"""{TC, XDP} x {offloads on, off} x {MTU 1500, 1450, 9000} x {IPv4, IPv6}: every byte, and nobody counts an error."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns import cells
from tests.netns.cell_ends import ECHO, VPC_WEB, WEB, Server, asked, counters, transfer
from tests.netns.cell_nodes import NODES, bring_up
from tests.netns.cells import UNIQUE, UNIQUE6, VIP, VIP6
from userspace.node import datapath
from userspace.node.links import LinkError

pytestmark = [pytest.mark.netns, pytest.mark.apart]
SIZE = 2 << 20
CELLS = [(hook, offloads, mtu) for hook in ("auto", "xdp") for offloads in (True, False) for mtu in (1500, 1450, 9000)]
IMPOSSIBLE = [cell for cell in CELLS if cell[0] == "xdp" and cell[1]]
VALID = [cell for cell in CELLS if cell not in IMPOSSIBLE]
Cell = tuple[str, bool, int]


def name(cell: Cell) -> str:
    hook, offloads, mtu = cell
    return f"{'xdp' if hook == 'xdp' else 'tc'}, offloads {'on' if offloads else 'off'}, mtu {mtu}"


@pytest.fixture(scope="module", autouse=True)
def nothing_left(cell_pins: Path) -> Iterator[None]:
    """From cell to cell the programs are adopted; those of other files bring their own."""
    yield
    for node in NODES:
        datapath.detach(cell_pins / node)


@pytest.fixture(scope="module")
def cell(request: pytest.FixtureRequest, cell_pins: Path, cell_cache: Path, server: Server) -> Iterator[Cell]:
    hook, offloads, mtu = found = request.param
    cells.set_wires(mtu, offloads)
    nodes = [bring_up(node, hook, mtu, cell_pins, cell_cache) for node in NODES]
    yield found
    for node in nodes:
        node.close()


@pytest.mark.parametrize("cell", VALID, ids=name, indirect=True)
def test_every_byte_arrives_and_nobody_counts_an_error(cell: Cell, server: Server) -> None:
    before = counters()
    transfer("client", (VIP, WEB), server)
    transfer("client", (VIP6, WEB), server)
    transfer("client", (VIP, VPC_WEB), server)
    transfer("client", (VIP6, VPC_WEB), server)
    transfer("gateway", (UNIQUE, WEB), server)
    transfer("gateway", (UNIQUE6, WEB), server)
    assert asked("client", (VIP, ECHO), [bytes([size & 255]) * size for size in (1, 512, 1400)])
    assert {key: n - before[key] for key, n in counters().items() if n != before[key]} == {}


@pytest.mark.parametrize("cell", IMPOSSIBLE, ids=name)
@pytest.mark.parametrize("node", NODES)
def test_xdp_is_refused_where_senders_leave_checksums_open(
    cell: Cell, node: str, cell_pins: Path, cell_cache: Path
) -> None:
    hook, offloads, mtu = cell
    cells.set_wires(mtu, offloads)
    mend = f"ip netns exec cell-switch ethtool -K {node} tx off"
    with pytest.raises(LinkError, match=f"--hook xdp on eth0 would lose TCP: .*; mend: {mend}"):
        bring_up(node, hook, mtu, cell_pins, cell_cache)
