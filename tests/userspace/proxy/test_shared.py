import asyncio

import pytest

from userspace.config.compile_routing import Router
from userspace.config.settings import Settings
from userspace.obs.access_log import AccessLog
from userspace.proxy.shared import Shared
from userspace.proxy.wheel import Wheel


async def shared(**settings: object) -> Shared:
    loop = asyncio.get_running_loop()
    return Shared(loop, Settings.from_json(settings), Router(), AccessLog("off"), Wheel(loop))


async def test_nobody_is_judged_when_no_address_is_trusted() -> None:
    assert (await shared()).trusts("192.0.2.1") is None


@pytest.mark.parametrize(("address", "trusted"), [("10.1.2.3", True), ("11.1.2.3", False), ("2001:db8::5", True)])
async def test_peers_in_trusted_networks_are_believed(address: str, trusted: bool) -> None:
    one = await shared(trusted_addresses=["10.0.0.0/8", "2001:db8::/32"])
    assert one.trusts(address) is trusted


async def test_the_body_limit_becomes_the_codecs() -> None:
    assert (await shared(max_request_body_bytes=5)).request_limits.max_body_bytes == 5
    assert (await shared()).request_limits.max_body_bytes == 0


async def test_the_end_of_the_last_connection_matters_only_in_a_drain() -> None:
    one = await shared()
    ended = []
    one.on_empty = lambda: ended.append(True)
    one.connection_closed()
    assert not ended
    one.is_draining = True
    one.connection_closed()
    assert ended
