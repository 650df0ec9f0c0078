"""VIPs."""

from control.model.vip import Vip, VipTarget


def test_a_vip_is_read_with_its_defaults() -> None:
    doc = {"id": "web", "address": "10.100.0.10", "port": 80, "targets": [{"node": 1, "port": 80}]}
    assert Vip.from_json(doc) == Vip("web", "10.100.0.10", 80, "tcp", (VipTarget("1", 80, 1),))


def test_a_gateway_may_listen_on_two_ports_and_a_weight_may_be_zero() -> None:
    targets = [{"node": "gw1", "port": 80, "weight": 0}, {"node": "gw1", "port": 81}]
    vip = Vip.from_json({"address": "10.100.0.10", "port": 80, "protocol": "tcp", "targets": targets}, "web")
    assert vip.targets == (VipTarget("gw1", 80, 0), VipTarget("gw1", 81, 1))
