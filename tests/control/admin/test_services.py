"""Services."""

from tests.control.admin.conftest import Client

NODE = {"host": "127.0.0.1", "port": 80, "weight": 1}
VPC = {
    "vni": 7,
    "cidr": "192.168.0.0/24",
    "endpoints": {"192.168.0.10": {"vtep": "10.1.0.31", "mac": "02:00:c0:a8:00:0a"}},
}


async def test_an_upstream_inside_is_patched_like_any(api: Client) -> None:
    created = await api.post("services", {"upstream": {"nodes": [NODE]}})
    path = f"services/{created.value['id']}"
    patched = await api.patch(path, {"upstream": {"nodes": [{**NODE, "weight": 2}]}, "hosts": ["a.example"]})
    assert patched.value["upstream"]["nodes"] == [{**NODE, "weight": 2}]
    assert (await api.patch(f"{path}/upstream/nodes", [NODE])).value["upstream"]["nodes"] == [NODE]


async def test_an_upstream_inside_may_stand_in_a_vpc(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", VPC)
    value = await api.must_put("services/1", {"upstream": {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}}})
    (node,) = value["upstream"]["nodes"]
    assert node["metadata"] == {"vpc_id": "blue", "vpc_ip": "192.168.0.10"} and node["host"].startswith("100.")
    refused = await api.put("/unilb/vpcs/blue", {**VPC, "endpoints": {}})
    assert (refused.status, "service [1] is still using it" in refused.error) == (400, True)
    assert (await api.delete("/unilb/vpcs/blue")).status == 400
