import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The proxy runs on uvloop, whose transports differ from asyncio's in when they write, pause and close."""
    return {"uvloop": uvloop.new_event_loop}
