"""What the datapath counted, as metrics."""

from collections import Counter
from collections.abc import Iterator
from ctypes import c_uint32
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from userspace.node import abi, datapath
from userspace.node.abi import DropReason, Event
from userspace.node.ageing import Swept
from userspace.node.counters import DatapathCollector, NodeCollector
from userspace.node.datapath import Datapath, Sizes
from userspace.node.maps import possible_cpus
from userspace.obs.exposition import render

pytestmark = pytest.mark.bpf


@pytest.fixture(scope="module")
def gateway(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    loaded = datapath.load(bpffs / "counters", "gateway", Sizes(flows=64, services=2, accounts=8), cache)
    yield loaded
    loaded.close()
    datapath.detach(bpffs / "counters")


def samples(*collectors: object) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by name and label values."""
    text = render(collectors).decode()  # type: ignore[arg-type]
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_drops_and_events_are_named_and_summed_over_cpus(gateway: Datapath) -> None:
    per_cpu = b"".join(n.to_bytes(8, "little") for n in range(1, possible_cpus() + 1))
    gateway.tables["drops"].put(c_uint32(DropReason.VNI_UNKNOWN), per_cpu)
    gateway.tables["events"].put(c_uint32(Event.ENCAP), per_cpu)
    found = samples(DatapathCollector(gateway.tables, 4096))
    expected = sum(range(1, possible_cpus() + 1))
    assert found["unilb_drops_total", ("vni_unknown",)] == expected
    assert found["unilb_datapath_events_total", ("encap",)] == expected
    assert found["unilb_drops_total", ("no_session",)] == 0
    assert ("unilb_drops_total", ("none",)) not in found
    assert found["unilb_datapath_memory_bytes", ()] == 4096


def test_vteps_are_counted_by_address_and_vni(gateway: Datapath) -> None:
    key = abi.VtepKey(vtep=abi.addr("10.1.0.31"), vni=10010)
    gateway.tables["vteps"].put(key, abi.Traffic(packets=3, bytes=300))
    gateway.tables["vteps"].put(abi.VtepKey(vni=10010), abi.Traffic())
    found = samples(DatapathCollector(gateway.tables, 0))
    assert found["unilb_vtep_packets_total", ("10.1.0.31", "10010")] == 3
    assert found["unilb_vtep_bytes_total", ("10.1.0.31", "10010")] == 300
    assert sum(name == "unilb_vtep_packets_total" for name, _ in found) == 1


def test_sweeps_add_up(gateway: Datapath) -> None:
    collector = DatapathCollector(gateway.tables, 0)
    collector.note(Swept(sessions=5, removed=2, orphans=1), 0.25)
    collector.note(Swept(sessions=4, removed=3, orphans=0), 0.5)
    found = samples(collector)
    assert found["unilb_sessions", ()] == 4
    assert found["unilb_sessions_aged_total", ()] == 5
    assert found["unilb_sessions_max", ()] == 32
    assert found["unilb_sessions_sweep_seconds", ()] == 0.5


def test_a_node_tells_its_revision_and_the_stores_age() -> None:
    found = samples(NodeCollector(lambda: 7, lambda: 1.5, lambda: 2, lambda: 3, lambda: 1, lambda: 4))
    assert found["unilb_node_revision", ()] == 7
    assert found["unilb_node_store_age_seconds", ()] == 1.5
    assert found["unilb_node_rejected_objects", ()] == 2
    assert found["unilb_worker_restarts_total", ()] == 3
    assert found["unilb_node_held_prefixes", ()] == 1
    assert found["unilb_node_report_failures_total", ()] == 4


def test_vips_and_vpcs_have_accounts_rings_and_pools(gateway: Datapath) -> None:
    key = abi.ServiceKey(addr=abi.addr("2001:db8::1"), port=53, proto=17)
    gateway.tables["services"].put(key, abi.Service(account=2))
    gateway.tables["endpoints"].put(abi.addr("100.64.0.1"), abi.Endpoint(vni=10010, account=1))
    one = bytes(abi.Account(packets=(3, 4), bytes=(300, 400), sessions=2))
    gateway.tables["accounts"].put_shares(1, one)
    collector = DatapathCollector(gateway.tables, 0, {bytes(key): 77}, lambda: (("10.0.0.1",), 1000))
    collector.note(Swept(by_account=Counter({1: 9}), ports=Counter({bytes(abi.addr("10.0.0.1")): 6})), 0)
    found = samples(collector)
    cpus = possible_cpus()
    assert found["unilb_carried_packets_total", ("vni 10010", "forward")] == 3 * cpus
    assert found["unilb_carried_packets_total", ("vni 10010", "reply")] == 4 * cpus
    assert found["unilb_carried_bytes_total", ("vni 10010", "reply")] == 400 * cpus
    assert found["unilb_sessions_opened_total", ("vni 10010",)] == 2 * cpus
    assert found["unilb_sessions_active", ("vni 10010",)] == 9
    assert found["unilb_sessions_active", ("[2001:db8::1]:53/udp",)] == 0
    assert found["unilb_ring_checksum", ("[2001:db8::1]:53/udp",)] == 77
    assert found["unilb_laddr_sessions", ("10.0.0.1",)] == 6
    assert found["unilb_laddr_ports", ()] == 1000
