"""Which process answers."""

from tests.control.control_api.conftest import Ask


async def test_the_identity_stays_the_same(ask: Ask) -> None:
    first = (await ask("/v1/server_info")).json
    assert first == (await ask("/v1/server_info")).json
    assert first.keys() == {"id", "hostname", "version", "etcd_version", "boot_time"}
