"""What a node's maps should hold, from the objects of the store."""

from dataclasses import replace

import pytest

from control.model.node import Node
from control.model.vip import Check, Vip, VipTarget
from control.model.vpc import Vpc, VpcEndpoint
from userspace.config.compile_datapath import DatapathPlan, EndpointPlan, TargetPlan, UpShare, compile_datapath

L4 = Node("l4", "l4", "a", "10.0.0.10", ("10.100.1.1", "10.100.1.2"))
GW1 = Node("gw1", "gateway", "a", "10.1.0.11", ("198.18.1.1",), 2000, 3000)
GW2 = Node("gw2", "gateway", "b", "10.2.0.12", ("198.18.2.1",))
NODES = {node.id: node for node in (L4, GW1, GW2)}
BLUE = Vpc(
    "blue",
    10010,
    "192.168.0.0/24",
    1450,
    {
        "192.168.0.10": VpcEndpoint("192.168.0.10", "10.1.0.31", "02:00:c0:a8:00:0a", "100.64.0.1"),
        "192.168.0.11": VpcEndpoint("192.168.0.11", "10.2.0.32", "02:00:c0:a8:00:0b", "100.64.0.2"),
    },
)
GREEN = Vpc(
    "green",
    10020,
    "192.168.0.0/24",
    1400,
    {"192.168.0.10": VpcEndpoint("192.168.0.10", "10.1.0.31", "02:00:c0:a8:00:0a", "100.64.0.3")},
)
VPCS = {"blue": BLUE, "green": GREEN}


def test_a_gateway_reaches_every_endpoint_of_every_vpc() -> None:
    plan = compile_datapath(GW1, NODES, VPCS, {})
    assert plan.endpoints == {
        "100.64.0.1": EndpointPlan("192.168.0.10", "10.1.0.31", 10010, "02:00:c0:a8:00:0a", 1450),
        "100.64.0.2": EndpointPlan("192.168.0.11", "10.2.0.32", 10010, "02:00:c0:a8:00:0b", 1450),
        "100.64.0.3": EndpointPlan("192.168.0.10", "10.1.0.31", 10020, "02:00:c0:a8:00:0a", 1400),
    }


def test_a_gateway_believes_vteps_per_vni_only() -> None:
    plan = compile_datapath(GW1, NODES, VPCS, {})
    assert plan.vteps == {
        (None, 10010),
        (None, 10020),
        ("10.1.0.31", 10010),
        ("10.2.0.32", 10010),
        ("10.1.0.31", 10020),
    }


def test_a_gateway_believes_toa_from_l4_nodes_only() -> None:
    assert compile_datapath(GW1, NODES, VPCS, {}).toa_trusted == {"10.100.1.1", "10.100.1.2"}


def test_a_gateway_opens_sessions_from_its_own_addresses_and_ports() -> None:
    plan = compile_datapath(GW1, NODES, VPCS, {})
    assert (plan.laddrs, plan.port_min, plan.port_max) == (("198.18.1.1",), 2000, 3000)


def test_an_l4_node_steers_vips_to_gateways_by_address() -> None:
    vip = Vip("public", "10.100.0.10", 80, "tcp", (VipTarget("gw1", 80, 2), VipTarget("gw2", 8080)))
    plan = compile_datapath(L4, NODES, VPCS, {"public": vip})
    assert plan == DatapathPlan(
        services={("10.100.0.10", 80, 6): {TargetPlan("10.1.0.11", 80): 2, TargetPlan("10.2.0.12", 8080): 1}},
        vips=frozenset({"10.100.0.10"}),
        laddrs=("10.100.1.1", "10.100.1.2"),
        checks={"public": (Check(), (TargetPlan("10.1.0.11", 80), TargetPlan("10.2.0.12", 8080)))},
    )


def test_targets_that_are_no_gateway_are_left_out() -> None:
    vip = Vip("public", "10.100.0.10", 80, "tcp", (VipTarget("gone", 80), VipTarget("l4", 80)))
    assert compile_datapath(L4, NODES, {}, {"public": vip}).services == {("10.100.0.10", 80, 6): {}}


def backend(address: str, **more: object) -> VipTarget:
    return VipTarget("", 5432, address=address, **more)  # type: ignore[arg-type]


def test_an_l4_node_steers_straight_to_backends_classic_and_in_a_vpc() -> None:
    vip = Vip(
        "db", "10.100.0.11", 5432, "tcp", (backend("10.1.0.21"), backend("192.168.0.10", vpc_id="blue", weight=3))
    )
    plan = compile_datapath(L4, NODES, VPCS, {"db": vip})
    assert plan.services == {
        ("10.100.0.11", 5432, 6): {TargetPlan("10.1.0.21", 5432): 1, TargetPlan("192.168.0.10", 5432, 10010): 3}
    }
    assert plan.hosts == {
        ("192.168.0.10", 10010): (
            "100.64.0.1",
            EndpointPlan("192.168.0.10", "10.1.0.31", 10010, "02:00:c0:a8:00:0a", 1450),
        )
    }
    assert plan.vteps == {(None, 10010), ("10.1.0.31", 10010)}


def test_a_target_that_is_no_endpoint_of_its_vpc_is_left_out() -> None:
    vip = Vip(
        "db",
        "10.100.0.11",
        5432,
        "tcp",
        (backend("192.168.0.99", vpc_id="blue"), backend("192.168.0.10", vpc_id="red")),
    )
    plan = compile_datapath(L4, NODES, VPCS, {"db": vip})
    assert (plan.services, plan.hosts) == ({("10.100.0.11", 5432, 6): {}}, {})


def test_one_port_may_be_published_for_udp_and_tcp() -> None:
    vips = {p: Vip(p, "10.100.0.12", 53, p, (VipTarget("gw1", 53),)) for p in ("tcp", "udp")}
    assert set(compile_datapath(L4, NODES, {}, vips).services) == {("10.100.0.12", 53, 6), ("10.100.0.12", 53, 17)}


def test_a_draining_target_and_one_that_is_down_take_nothing_new() -> None:
    vip = Vip(
        "v", "10.100.0.10", 80, "tcp", (VipTarget("gw1", 80, 5, state="drain"), VipTarget("gw2", 80, 5, state="down"))
    )
    plan = compile_datapath(L4, NODES, {}, {"v": vip})
    assert plan.services == {("10.100.0.10", 80, 6): {TargetPlan("10.1.0.11", 80): 0, TargetPlan("10.2.0.12", 80): 0}}
    assert plan.down == {TargetPlan("10.2.0.12", 80)}


def test_an_ipv6_vip_finds_gateways_by_their_ipv6_address() -> None:
    nodes = NODES | {"gw1": replace(GW1, address6="2001:db8::11")}
    vip = Vip("v6", "2001:db8:100::10", 80, "tcp", (VipTarget("gw1", 80), VipTarget("gw2", 80)))
    plan = compile_datapath(L4, nodes, {}, {"v6": vip})
    assert plan.services == {("2001:db8:100::10", 80, 6): {TargetPlan("2001:db8::11", 80): 1}}


DSR = Vip("d", "10.100.0.20", 80, "tcp", (VipTarget("gw1", 80), VipTarget("", 80, address="10.2.0.12")), mode="dsr")


def test_a_dsr_vips_targets_know_what_they_take() -> None:
    plan = compile_datapath(L4, NODES, {}, {"d": DSR})
    assert plan.services == {
        ("10.100.0.20", 80, 6): {
            TargetPlan("10.1.0.11", 80, vip="10.100.0.20"): 1,
            TargetPlan("10.2.0.12", 80, vip="10.100.0.20"): 1,
        }
    }


def test_a_gateway_takes_the_dsr_vips_that_it_is_a_target_of_from_l4_nodes_alone() -> None:
    fnat = Vip("f", "10.100.0.21", 80, "tcp", (VipTarget("gw1", 80),))
    for gateway in (NODES["gw1"], NODES["gw2"]):  # one by its id, the other by its address
        plan = compile_datapath(gateway, NODES, {}, {"d": DSR, "f": fnat})
        assert plan.dsr == {"10.100.0.20"}
        assert plan.tunnellers == {L4.address}
    elsewhere = replace(DSR, targets=DSR.targets[1:])
    plan = compile_datapath(NODES["gw1"], NODES, {}, {"d": elsewhere, "f": fnat})
    assert (plan.dsr, plan.tunnellers) == (frozenset(), frozenset())


def test_an_ipv6_dsr_vip_goes_to_gateways_by_their_ipv4_address() -> None:
    vip = replace(DSR, address="2001:db8:100::20")
    targets = compile_datapath(L4, NODES, {}, {"d": vip}).services["2001:db8:100::20", 80, 6]
    assert {target.address for target in targets} == {"10.1.0.11", "10.2.0.12"}
    assert {target.vip for target in targets} == {"2001:db8:100::20"}


SIX = Vpc(
    "six", 10030, "fd00:a::/64", 1430, {"fd00:a::10": VpcEndpoint("fd00:a::10", "2001:db8:1::31", "m", "fd75::1")}
)


def test_a_vtep_of_ipv6_needs_a_node_with_such_an_address() -> None:
    assert compile_datapath(GW1, NODES, {"six": SIX}, {}) == compile_datapath(
        GW1, NODES, {"six": replace(SIX, endpoints={})}, {}
    )
    plan = compile_datapath(replace(GW1, address6="2001:db8:1::11"), NODES, {"six": SIX}, {})
    assert plan.endpoints == {"fd75::1": EndpointPlan("fd00:a::10", "2001:db8:1::31", 10030, "m", 1430)}
    assert plan.vteps == {(None, 10030), ("2001:db8:1::31", 10030)}


def test_a_target_whose_check_fails_is_down_in_every_vip_that_names_it() -> None:
    targets = (VipTarget("gw1", 80), VipTarget("gw2", 80))
    vips = {id: Vip(id, f"10.100.0.{n}", 80, "tcp", targets) for n, id in enumerate(("a", "b"))}
    failing = TargetPlan("10.1.0.11", 80)
    plan = compile_datapath(L4, NODES, {}, vips, {failing})
    assert all(
        weights[failing] == 0 and weights[TargetPlan("10.2.0.12", 80)] == 1 for weights in plan.services.values()
    )
    assert plan.down == {failing}
    assert all(failing in places for _, places in plan.checks.values())  # or it would never come back


ONE, TWO, THREE = TargetPlan("10.1.0.11", 80), TargetPlan("10.2.0.12", 80), TargetPlan("10.1.0.21", 80)
ABLE = (VipTarget("gw1", 80), VipTarget("gw2", 80), VipTarget("", 80, address="10.1.0.21"))


def panicky(threshold: int, targets: tuple[VipTarget, ...] = ABLE, id: str = "v") -> Vip:
    return Vip(id, "10.100.0.10", 80, "tcp", targets, check=Check(panic_threshold=threshold))


@pytest.mark.parametrize(
    ("threshold", "failing", "is_panic"),
    [
        (50, {ONE}, False),
        (50, {ONE, TWO}, True),
        (67, {ONE}, True),  # two of three are 66.7 %
        (66, {ONE}, False),
        (1, {ONE, TWO}, False),
        (1, {ONE, TWO, THREE}, True),
        (100, {ONE}, True),
        (100, set(), False),
        (0, {ONE, TWO, THREE}, False),
    ],
)
def test_with_too_few_targets_up_all_are_used_and_none_is_down(
    threshold: int, failing: set[TargetPlan], is_panic: bool
) -> None:
    plan = compile_datapath(L4, NODES, {}, {"v": panicky(threshold)}, failing)
    used = {ONE, TWO, THREE} if is_panic else {ONE, TWO, THREE} - failing
    assert {place for place, weight in plan.services["10.100.0.10", 80, 6].items() if weight} == used
    assert plan.down == (frozenset() if is_panic else failing)
    assert plan.shares == ({"v": UpShare(3 - len(failing), 3, threshold)} if threshold else {})
    assert [share.is_panic for share in plan.shares.values()] in ([], [is_panic])
    assert plan.checks["v"][1] == (ONE, TWO, THREE)  # or none would ever come back


def test_a_panic_asks_nothing_of_targets_that_take_no_new_sessions() -> None:
    targets = (*ABLE[:1], VipTarget("gw2", 80, state="drain"), VipTarget("", 80, address="10.1.0.21", state="down"))
    plan = compile_datapath(L4, NODES, {}, {"v": panicky(50, targets)}, {ONE, TWO})
    assert plan.shares == {"v": UpShare(0, 1, 50)}
    assert plan.services["10.100.0.10", 80, 6] == {ONE: 1, TWO: 0, THREE: 0}
    assert plan.down == {THREE}  # one that drains keeps its sessions, as in no panic


def test_a_target_that_one_vip_uses_in_a_panic_ends_no_sessions_and_takes_none_of_the_others() -> None:
    other = replace(panicky(0, (*ABLE, VipTarget("", 80, address="10.1.0.22")), "w"), address="10.100.0.11")
    plan = compile_datapath(L4, NODES, {}, {"v": panicky(50), "w": other}, {ONE, TWO})
    assert plan.down == frozenset()
    assert plan.services["10.100.0.10", 80, 6] == {ONE: 1, TWO: 1, THREE: 1}
    assert plan.services["10.100.0.11", 80, 6] == {ONE: 0, TWO: 0, THREE: 1, TargetPlan("10.1.0.22", 80): 1}


def test_what_is_checked() -> None:
    states = tuple(VipTarget(node, 80, state=state) for node, state in (("gw1", "drain"), ("gw2", "down")))
    unchecked = Vip("off", "10.100.0.11", 80, "tcp", states, check=None)
    plan = compile_datapath(L4, NODES, {}, {"v": Vip("v", "10.100.0.10", 80, "tcp", states), "off": unchecked})
    assert plan.checks == {"v": (Check(), (TargetPlan("10.1.0.11", 80),))}


def test_without_a_local_address_of_the_family_nothing_can_be_asked() -> None:
    bare = replace(L4, laddrs=("2001:db8:1::1",))
    assert compile_datapath(bare, NODES, {}, {"d": DSR}).checks == {}
    assert set(compile_datapath(bare, NODES, {}, {"d": replace(DSR, address="2001:db8:100::20")}).checks) == {"d"}
