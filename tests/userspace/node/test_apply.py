"""Plans become map entries: additions first, removals when told, never a half written ring."""

from collections.abc import Iterator
from ctypes import c_uint32
from dataclasses import replace
from pathlib import Path

import pytest

from userspace.balancer.maglev import build_ring
from userspace.config.compile_datapath import DatapathPlan, EndpointPlan, TargetPlan
from userspace.node import abi, datapath
from userspace.node.abi import RING_SIZE, Forwarding, Owned, TargetState
from userspace.node.apply import Applier, MachineFacts, PlanTooLarge, inner_mac
from userspace.node.datapath import Datapath, Sizes

pytestmark = pytest.mark.bpf
FACTS = MachineFacts("10.1.0.11", 2, 1500, 3, "02:00:00:00:00:fe")
GW1, GW2, GW3 = (TargetPlan(f"10.{i}.0.1{i}", 80) for i in (1, 2, 3))
VIP = ("10.100.0.10", 80, 6)
L4_PLAN = DatapathPlan(services={VIP: {GW1: 1, GW2: 1}}, vips=frozenset({VIP[0]}), laddrs=("10.100.1.1",))
ONE = EndpointPlan("192.168.0.10", "10.1.0.31", 10010, "02:00:c0:a8:00:0a", 1450)
GATEWAY_PLAN = DatapathPlan(
    endpoints={"100.64.0.1": ONE},
    vteps=frozenset({(None, 10010), ("10.1.0.31", 10010)}),
    laddrs=("198.18.1.1", "198.18.1.2"),
    toa_trusted=frozenset({"10.100.1.1"}),
)
SIZES = Sizes(flows=64, endpoints=4, services=2, targets=4, owned=8, laddrs=2, accounts=8)


@pytest.fixture
def loaded(bpffs: Path, cache: Path, request: pytest.FixtureRequest) -> Iterator[Datapath]:
    role = "gateway" if "gateway" in request.node.name else "l4"
    made = datapath.load(bpffs / "apply", role, SIZES, cache)
    yield made
    made.close()
    datapath.detach(bpffs / "apply")


def service(loaded: Datapath) -> int:
    """Return the ring slot of the one VIP."""
    raw = loaded.tables["services"].get(abi.ServiceKey(addr=abi.addr(VIP[0]), port=80, proto=6))
    assert raw is not None
    return abi.Service.from_buffer_copy(raw).ring


def ring(loaded: Datapath) -> list[tuple[str, int] | None]:
    """Return the targets of the one VIP's ring, slot by slot, as the datapath finds them."""
    first = service(loaded) * RING_SIZE
    indexes = dict(loaded.tables["rings"].items())
    targets = {k: abi.Target.from_buffer_copy(v) for k, v in loaded.tables["targets"].items()}
    named = {k: (abi.text(t.addr), t.port) for k, t in targets.items() if t.port}
    return [named.get(indexes[bytes(c_uint32(first + i))]) for i in range(RING_SIZE)]


def expected_ring(*targets: TargetPlan) -> list[tuple[str, int]]:
    by_name = {f"{t.address}:{t.port}": (t.address, t.port) for t in targets}
    return [by_name[name] for name in build_ring(dict.fromkeys(by_name, 1), RING_SIZE)]


def owned(loaded: Datapath) -> dict[str, int]:
    return {
        abi.text(abi.Addr.from_buffer_copy(k)): int.from_bytes(v, "little") for k, v in loaded.tables["owned"].items()
    }


def test_an_l4_plan_publishes_its_vip(loaded: Datapath) -> None:
    Applier(loaded.tables, FACTS).add(L4_PLAN)
    assert ring(loaded) == expected_ring(GW1, GW2)
    assert owned(loaded) == {"10.100.0.10": Owned.VIP, "10.100.1.1": Owned.LADDR}
    machine = abi.Machine.from_buffer_copy(loaded.tables["machine"].get(c_uint32(0)) or b"")
    assert (machine.laddr_count, machine.laddr6_count, machine.mtu, machine.toa_kind) == (1, 0, 1500, 254)


def test_a_changed_ring_is_written_beside_the_old_one(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(L4_PLAN)
    before = service(loaded)
    applier.add(replace(L4_PLAN, services={VIP: {GW1: 1, GW2: 1, GW3: 1}}))
    assert service(loaded) != before
    assert ring(loaded) == expected_ring(GW1, GW2, GW3)
    applier.add(replace(L4_PLAN, services={VIP: {GW3: 1}}))
    assert set(ring(loaded)) == {GW3[:2]}


def test_an_unchanged_ring_is_not_written_again(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(L4_PLAN)
    before = service(loaded)
    applier.add(L4_PLAN)
    assert service(loaded) == before


def test_a_service_without_targets_has_an_empty_ring(loaded: Datapath) -> None:
    Applier(loaded.tables, FACTS).add(replace(L4_PLAN, services={VIP: {}}))
    assert set(ring(loaded)) == {None}


def test_the_next_node_keeps_the_numbers_of_targets(loaded: Datapath) -> None:
    Applier(loaded.tables, FACTS).add(replace(L4_PLAN, services={VIP: {GW2: 1}}))
    old_slot = service(loaded)
    Applier(loaded.tables, FACTS).add(replace(L4_PLAN, services={VIP: {GW1: 1, GW2: 1}}))
    indexes = dict(loaded.tables["rings"].items())
    number = indexes[bytes(c_uint32(old_slot * RING_SIZE))]
    target = abi.Target.from_buffer_copy(dict(loaded.tables["targets"].items())[number])
    assert abi.text(target.addr) == GW2[0]


def test_what_a_plan_dropped_goes_when_told(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(L4_PLAN)
    applier.add(DatapathPlan())
    assert owned(loaded) == {"10.100.0.10": Owned.VIP, "10.100.1.1": Owned.LADDR}
    applier.remove()
    assert owned(loaded) == {}
    assert loaded.tables["services"].items() == []


def test_a_vip_that_comes_back_is_published_again(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    for plan in (L4_PLAN, DatapathPlan(), L4_PLAN):
        applier.add(plan)
        applier.remove()
    assert ring(loaded) == expected_ring(GW1, GW2)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (replace(L4_PLAN, laddrs=("10.0.0.1", "10.0.0.2", "10.0.0.3")), "map laddrs has 2 entries, 3 are needed"),
        (
            replace(L4_PLAN, services={VIP: {TargetPlan(f"10.1.0.{i}", 80): 1 for i in range(4)}}),
            "map targets has 4 entries, 5 are needed",
        ),
        (replace(L4_PLAN, services={("10.0.0.1", p, 6): {} for p in (1, 2, 3)}), "map services has 2 entries"),
    ],
)
def test_a_plan_too_large_is_refused_whole(loaded: Datapath, plan: DatapathPlan, says: str) -> None:
    applier = Applier(loaded.tables, FACTS)
    with pytest.raises(PlanTooLarge, match=says):
        applier.add(plan)
    assert owned(loaded) == {}


def test_a_gateway_plan_opens_its_endpoints(loaded: Datapath) -> None:
    Applier(loaded.tables, FACTS).add(GATEWAY_PLAN)
    raw = loaded.tables["endpoints"].get(abi.addr("100.64.0.1"))
    endpoint = abi.Endpoint.from_buffer_copy(raw or b"")
    assert endpoint.account == 1
    assert (abi.text(endpoint.addr), abi.text(endpoint.vtep), endpoint.vni, endpoint.mtu) == (
        "192.168.0.10",
        "10.1.0.31",
        10010,
        1450,
    )
    assert bytes(endpoint.mac).hex(":") == "02:00:c0:a8:00:0a"
    assert loaded.tables["toa_trusted"].get(abi.addr("10.100.1.1")) is not None


def test_a_gateways_move_of_an_endpoint_replaces_its_entry(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(GATEWAY_PLAN)
    applier.add(replace(GATEWAY_PLAN, endpoints={"100.64.0.1": replace(ONE, vtep="10.2.0.32")}))
    raw = loaded.tables["endpoints"].get(abi.addr("100.64.0.1"))
    assert abi.text(abi.Endpoint.from_buffer_copy(raw or b"").vtep) == "10.2.0.32"


def test_a_gateways_vtep_counters_survive_a_new_plan(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(GATEWAY_PLAN)
    key = abi.VtepKey(vtep=abi.addr("10.1.0.31"), vni=10010)
    loaded.tables["vteps"].put(key, abi.Traffic(packets=7, bytes=700))
    applier.add(GATEWAY_PLAN)
    assert abi.Traffic.from_buffer_copy(loaded.tables["vteps"].get(key) or b"").packets == 7


def test_inner_mac_names_the_gateway() -> None:
    assert inner_mac("10.1.0.11") == "02:75:0a:01:00:0b"


def target(loaded: Datapath, index: int) -> abi.Target:
    return abi.Target.from_buffer_copy(loaded.tables["targets"].get(c_uint32(index)) or b"")


def test_a_number_that_is_used_anew_has_another_generation(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(replace(L4_PLAN, services={VIP: {GW1: 1}}))
    first = target(loaded, 1).generation
    applier.add(replace(L4_PLAN, services={VIP: {GW1: 2}}))
    assert target(loaded, 1).generation == first
    applier.add(replace(L4_PLAN, services={VIP: {GW2: 1}}))
    assert (abi.text(target(loaded, 1).addr), target(loaded, 1).generation) == (GW2.address, first + 1)


def test_a_target_that_is_down_is_told_and_comes_back_the_same(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    plan = replace(L4_PLAN, services={VIP: {GW1: 0, GW2: 1}}, down=frozenset({GW1}))
    applier.add(plan)
    assert (target(loaded, 1).state, applier.down) == (TargetState.DOWN, {(1, target(loaded, 1).generation)})
    assert set(ring(loaded)) == {GW2[:2]}
    applier.add(L4_PLAN)
    assert (target(loaded, 1).state, applier.down) == (TargetState.UP, frozenset())


def test_a_backend_in_a_vpc_is_found_by_its_address_there(loaded: Datapath) -> None:
    there = TargetPlan(ONE.addr, 5432, ONE.vni)
    plan = replace(
        L4_PLAN,
        services={VIP: {there: 1}},
        hosts={(ONE.addr, ONE.vni): ("100.64.0.1", ONE)},
        vteps=frozenset({(None, ONE.vni), (ONE.vtep, ONE.vni)}),
    )
    Applier(loaded.tables, FACTS).add(plan)
    raw = loaded.tables["hosts"].get(abi.HostKey(addr=abi.addr(ONE.addr), vni=ONE.vni))
    host = abi.Endpoint.from_buffer_copy(raw or b"")
    assert (abi.text(host.addr), abi.text(host.vtep)) == ("100.64.0.1", ONE.vtep)
    assert target(loaded, 1).vni == ONE.vni


def test_local_addresses_of_both_families_stand_apart(loaded: Datapath) -> None:
    Applier(loaded.tables, FACTS).add(replace(L4_PLAN, laddrs=("2001:db8::1", "10.100.1.1")))
    machine = abi.Machine.from_buffer_copy(loaded.tables["machine"].get(c_uint32(0)) or b"")
    assert (machine.laddr_count, machine.laddr6_count) == (1, 1)
    assert abi.text(abi.Addr.from_buffer_copy(loaded.tables["laddrs"].get(c_uint32(0)) or b"")) == "10.100.1.1"


def test_rings_of_one_plan_have_one_checksum_on_every_node(loaded: Datapath) -> None:
    one, other = Applier(loaded.tables, FACTS), Applier(loaded.tables, replace(FACTS, underlay="10.9.9.9"))
    one.add(L4_PLAN)
    other.add(replace(L4_PLAN, laddrs=("10.100.9.9",)))
    assert one.checksums == other.checksums and len(one.checksums) == 1
    one.add(replace(L4_PLAN, services={VIP: {GW1: 1, GW2: 2}}))
    assert one.checksums != other.checksums


def test_a_dsr_vip_says_so_and_its_targets_know_it(loaded: Datapath) -> None:
    there = TargetPlan("10.1.0.11", 80, vip=VIP[0])
    plan = replace(L4_PLAN, services={VIP: {there: 1}})
    Applier(loaded.tables, FACTS).add(plan)
    key = abi.ServiceKey(addr=abi.addr(VIP[0]), port=80, proto=6)
    found = abi.Service.from_buffer_copy(loaded.tables["services"].get(key) or b"")
    assert found.mode == Forwarding.DSR
    assert (abi.text(target(loaded, 1).addr), abi.text(target(loaded, 1).vip)) == ("10.1.0.11", VIP[0])
    again = Applier(loaded.tables, FACTS)  # the next node numbers it the same
    again.add(replace(plan, services={VIP: {TargetPlan("10.0.9.9", 80, vip=VIP[0]): 1, there: 1}}))
    assert abi.text(target(loaded, 1).addr) == "10.1.0.11"
    again.add(replace(L4_PLAN, services={VIP: {GW1: 1}}))
    found = abi.Service.from_buffer_copy(loaded.tables["services"].get(key) or b"")
    assert found.mode == Forwarding.FNAT and not any(target(loaded, 3).vip.bytes)


def test_a_gateway_takes_its_dsr_vips_from_l4_nodes(loaded: Datapath) -> None:
    applier = Applier(loaded.tables, FACTS)
    applier.add(replace(GATEWAY_PLAN, dsr=frozenset({"10.100.0.20"}), tunnellers=frozenset({"10.0.0.10"})))
    assert owned(loaded) == {"10.100.0.20": Owned.DSR}
    for sender in (abi.Addr(), abi.addr("10.0.0.10")):
        assert loaded.tables["vteps"].get(abi.VtepKey(vtep=sender, vni=abi.DSR_VNI)) is not None
    applier.add(GATEWAY_PLAN)
    applier.remove()
    assert owned(loaded) == {}
    assert loaded.tables["vteps"].get(abi.VtepKey(vni=abi.DSR_VNI)) is None


def test_a_gateway_of_both_families_says_so_and_leaves_room_for_either_tunnel(loaded: Datapath) -> None:
    six = replace(ONE, addr="fd00:a::10", vtep="2001:db8:1::31")
    plan = replace(GATEWAY_PLAN, endpoints={"100.64.0.1": ONE, "fd75::1": six}, laddrs=("fd00:18::1", "198.18.1.1"))
    Applier(loaded.tables, replace(FACTS, underlay6="2001:db8:1::11")).add(plan)
    machine = abi.Machine.from_buffer_copy(loaded.tables["machine"].get(c_uint32(0)) or b"")
    assert (abi.text(machine.underlay6), machine.laddr_count, machine.laddr6_count) == ("2001:db8:1::11", 1, 1)
    entries = [
        abi.Endpoint.from_buffer_copy(loaded.tables["endpoints"].get(abi.addr(u)) or b"") for u in plan.endpoints
    ]
    assert [(abi.text(e.addr), abi.text(e.vtep), e.mtu) for e in entries] == [
        ("192.168.0.10", "10.1.0.31", 1450),
        ("fd00:a::10", "2001:db8:1::31", 1430),
    ]


def test_a_target_has_a_probe_address_of_its_number_and_generation(loaded: Datapath) -> None:
    there = TargetPlan("2001:db8::1", 80)
    applier = Applier(loaded.tables, FACTS)
    applier.add(replace(L4_PLAN, services={VIP: {GW1: 1, there: 1}}))
    first = applier.probe_addresses()
    generations = {place: target(loaded, i).generation for place, i in ((GW1, 1), (there, 2))}
    assert first == {GW1: f"240.{generations[GW1]}.0.1", there: f"fd75:756e:6c62::{generations[there]:x}:2"}
    applier.add(replace(L4_PLAN, services={VIP: {GW2: 1, there: 1}}))
    second = applier.probe_addresses()
    assert second[there] == first[there] and second[GW2] == f"240.{generations[GW1] + 1}.0.1"
