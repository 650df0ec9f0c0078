"""The peer behind a TOA, and the client it names."""

import os
from pathlib import Path

import pytest

from tests.userspace.node.legs import pair
from userspace.node import abi, bpf, datapath
from userspace.node.datapath import Sizes
from userspace.node.toa_peers import ToaPeers

CLIENT = ("203.0.113.9", 4210)


def test_without_a_toa_peer_and_client_are_one() -> None:
    with pair() as (theirs, ours):
        peers = ToaPeers(None)
        assert peers.of(ours) == (theirs.getsockname(), theirs.getsockname())
        assert peers.restore(ours, None) == theirs.getsockname()
        assert peers.restore(ours, CLIENT) == CLIENT
        peers.close()


@pytest.mark.bpf
def test_a_toa_is_set_aside_for_the_question_and_stays(
    bpffs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = datapath.load(bpffs / "peers", "toa", Sizes(flows=64), cache)
    try:
        peers = ToaPeers(loaded.programs["toa_peername"])
        with pair() as (theirs, ours):
            assert peers.restore(ours, CLIENT) == CLIENT
            seen = []

            def asked(fd: int, key: bytes) -> bool:
                seen.append(bpf.map_lookup(fd, key, len(bytes(abi.Client()))))
                return map_delete(fd, key)

            map_delete = bpf.map_delete
            monkeypatch.setattr(bpf, "map_delete", asked)
            for _ in range(2):
                assert peers.of(ours) == (theirs.getsockname(), CLIENT)
            assert len(seen) == 2
            assert peers.of(theirs) == (ours.getsockname(), ours.getsockname())
        before = len(os.listdir("/proc/self/fd"))
        peers.close()
        assert len(os.listdir("/proc/self/fd")) == before - 1
    finally:
        loaded.close()
        datapath.detach(bpffs / "peers")
