"""What a new node takes over, and what it has to end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import flow
from tests.userspace.node.splice_maps import CLIENT, ENDPOINT, HERE, Region, region, splice_maps
from userspace.node import abi, splice_adoption, tcp_rebuild
from userspace.node.maps import Table
from userspace.node.splice_abi import Flag, Kind, Splice, State
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_held import Held
from userspace.node.splice_table import SpliceTable

pytestmark = pytest.mark.bpf
UP, DOWN = flow(CLIENT, 4210, HERE, 80), flow(ENDPOINT, 80, HERE, 50000)
REPLY = flow("192.168.0.10", 80, "198.18.1.1", 6000, vni=10010)


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[Region]:
    with region() as found:
        yield found


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    with splice_maps() as found:
        yield found


def adopted(tables: dict[str, Table], path: Path, down: abi.Flow = DOWN, **fields: object) -> tuple[Held, str]:
    made = Splice(**{"generation": 3, "state": State.ACTIVE, "kind": Kind.GUARDED, "account": 1} | fields)
    made.from_[0], made.from_[1] = UP, down
    SpliceTable(tables).write(5, made, None)
    accounts = SpliceAccounts(tables["splice_counts"], path / "names", lambda index: True)
    accounts.of(("r1", "u1", "10.9.0.3:80"))
    ((held, reason),) = splice_adoption.adopt(SpliceTable(tables), accounts)
    return held, reason


def test_a_splice_is_taken_over_with_a_lease_of_its_addresses(tables: dict[str, Table], tmp_path: Path) -> None:
    held, reason = adopted(tables, tmp_path)
    assert reason == ""
    assert (held.id, held.generation, held.kind, held.owner) == (5, 3, Kind.GUARDED, ("r1", "u1", "10.9.0.3:80"))
    with pytest.raises(OSError):
        tcp_rebuild.lease((HERE, 50000), (ENDPOINT, 80))
    held.release()
    tcp_rebuild.lease((HERE, 50000), (ENDPOINT, 80)).close()


def test_a_client_behind_a_toa_is_known_still(tables: dict[str, Table], tmp_path: Path) -> None:
    held, _ = adopted(tables, tmp_path, client=abi.addr("198.51.100.4"), client_port=4711)
    assert held.address == ("198.51.100.4", 4711)
    held.release()


def test_one_whose_addresses_are_anothers_by_now_has_to_end(tables: dict[str, Table], tmp_path: Path) -> None:
    with tcp_rebuild.lease((HERE, 50000), (ENDPOINT, 80)):
        assert adopted(tables, tmp_path)[1] == "lease"


def test_one_whose_client_has_a_socket_still_has_to_end(tables: dict[str, Table], tmp_path: Path) -> None:
    with tcp_rebuild.lease((HERE, 80), (CLIENT, 4210)):
        assert adopted(tables, tmp_path)[1] == "adopted_tail"


@pytest.mark.parametrize(("state", "why"), [(State.TAIL, "adopted_tail"), (State.BACK, "adopted_back")])
def test_one_between_two_states_has_to_end(tables: dict[str, Table], tmp_path: Path, state: State, why: str) -> None:
    held, reason = adopted(tables, tmp_path, state=state)
    assert reason == why
    assert held.endpoint is None


def test_a_vpcs_needs_no_lease(tables: dict[str, Table], tmp_path: Path) -> None:
    held, reason = adopted(tables, tmp_path, REPLY, flags=Flag.VPC)
    assert (reason, held.endpoint) == ("", None)
