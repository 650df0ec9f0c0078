"""Accounts keep their numbers over restarts and count from 0 when a number is given to another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.node import abi, accounts, datapath
from userspace.node.accounts import Accounts
from userspace.node.datapath import Datapath, Sizes

pytestmark = pytest.mark.bpf
WEB, DNS = (bytes(abi.ServiceKey(addr=abi.addr("10.100.0.10"), port=p, proto=6)) for p in (80, 53))


@pytest.fixture
def l4(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    loaded = datapath.load(bpffs / "accounts", "l4", Sizes(flows=64, services=2, accounts=4), cache)
    yield loaded
    loaded.close()
    datapath.detach(bpffs / "accounts")


def test_the_next_node_keeps_the_numbers(l4: Datapath) -> None:
    index = Accounts(l4.tables).of({WEB, DNS}, {7})
    assert sorted(index.values()) == [1, 2, 3]
    for key in (WEB, DNS):
        l4.tables["services"].put(key, abi.Service(account=index[key]))
    assert Accounts(l4.tables).of({WEB}, set())[WEB] == index[WEB]


def test_a_number_counts_from_0_for_its_next_owner(l4: Datapath) -> None:
    given = Accounts(l4.tables)
    first = given.of({WEB}, set())[WEB]
    l4.tables["accounts"].put_shares(first, bytes(abi.Account(sessions=5)))
    assert given.of({WEB}, set())[WEB] == first
    assert accounts.read(l4.tables["accounts"], first).sessions > 0
    assert given.of({DNS}, set())[DNS] == first
    assert accounts.read(l4.tables["accounts"], first).sessions == 0
