"""Which protocols a client may change to, and whether an endpoint chose one of them."""

import pytest

from userspace.http.events import RequestHead, ResponseHead
from userspace.http.upgrade import offers, takes_up


def asking(upgrade: bytes | None, method: str = "GET") -> RequestHead:
    options = frozenset((b"upgrade",))
    return RequestHead(method, b"/", "/", b"", "a", "a", [], "1.1", 0, True, False, upgrade, options)


def switching(upgrade: bytes | None) -> ResponseHead:
    return ResponseHead(101, b"", [], "1.1", 0, True, upgrade, frozenset((b"upgrade",)))


@pytest.mark.parametrize(
    ("upgrade", "sent"),
    [
        (None, None),
        (b"websocket", b"websocket"),
        (b"WebSocket", b"WebSocket"),
        (b"IRC/6.9, , RTA/x11", b"IRC/6.9, RTA/x11"),
        (b"h2c", None),
        (b"H2C", None),
        (b"HTTP/2.0, websocket", b"websocket"),
        (b"TLS/1.2,HTTP/1.1", None),
        (b"h2c , websocket", b"websocket"),
        (b"web socket", None),
        (b"websocket/13/x", None),
        (b"websocket, \xff", None),
        (b",", None),
    ],
)
def test_an_offer_goes_on_without_what_would_carry_requests_past_us(upgrade: bytes | None, sent: bytes | None) -> None:
    assert offers(asking(upgrade)) == sent


def test_connect_offers_nothing_besides_itself() -> None:
    assert offers(asking(b"websocket", "CONNECT")) is None


@pytest.mark.parametrize(
    ("chosen", "offered", "fine"),
    [
        (b"websocket", b"websocket", True),
        (b"WebSocket", b"websocket", True),
        (b"RTA/x11", b"IRC/6.9, RTA/x11", True),
        (b"rta/X11, irc/6.9", b"IRC/6.9, RTA/x11", True),
        (b"h2c", b"websocket", False),
        (b"websocket, h2c", b"websocket", False),
        (b"RTA/x12", b"RTA/x11", False),
        (b"websocket", None, False),
        (None, b"websocket", False),
        (b",", b"websocket", False),
        (b"web socket", b"websocket", False),
    ],
)
def test_an_endpoint_may_choose_only_what_was_offered(chosen: bytes | None, offered: bytes | None, fine: bool) -> None:
    assert takes_up(switching(chosen), offered) is fine
