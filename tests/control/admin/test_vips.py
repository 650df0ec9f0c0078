"""VIPs over the API."""

from tests.control.admin.conftest import Client

NODE = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1", "198.18.1.2"]}
VIP = {"address": "10.100.0.10", "port": 80, "targets": [{"node": "gw1", "port": 80}]}


async def test_targets_of_a_vip_are_gateways_and_stay_so(api: Client) -> None:
    await api.must_put("/unilb/nodes/gw1", NODE)
    await api.must_put("/unilb/nodes/l4", {"role": "l4", "zone": "a", "address": "10.0.0.10"})
    wrong = await api.put("/unilb/vips/web", {**VIP, "targets": [{"node": "l4", "port": 80}]})
    assert 'property "targets" validation failed: node [l4] is not a gateway' in wrong.error
    await api.must_put("/unilb/vips/web", VIP)
    assert (await api.delete("/unilb/nodes/gw1")).error == ("can not delete this node, vip [web] is still using it now")
    change = await api.put("/unilb/nodes/gw1", {**NODE, "role": "l4"})
    assert 'property "role" validation failed: it must stay gateway, vip [web]' in change.error
    assert (await api.put("/unilb/nodes/gw1", {**NODE, "zone": "b"})).status == 200
    await api.delete("/unilb/vips/web")
    assert (await api.put("/unilb/nodes/gw1", {**NODE, "role": "l4"})).status == 200
    assert (await api.delete("/unilb/nodes/gw1")).status == 200


async def test_an_address_and_port_is_one_vip_only(api: Client) -> None:
    await api.must_put("/unilb/vips/web", {**VIP, "targets": []})
    answer = await api.put("/unilb/vips/other", {**VIP, "targets": []})
    assert 'property "address" validation failed: 10.100.0.10:80 belongs to vip [web]' in answer.error
    assert (await api.put("/unilb/vips/other", {**VIP, "targets": [], "port": 443})).status == 201
