"""Token buckets, per address and per key."""

import asyncio
from typing import Any

import pytest

from control.admin import limits
from control.admin.auth import AdminKey
from control.admin.limits import Buckets, RateLimit, network_of

KEYS = (AdminKey("admin", "the-admin-key", "admin"), AdminKey("viewer", "the-viewer-key", "viewer"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    clock = Clock()
    buckets = Buckets(10, clock)
    assert [buckets.take("a") for _ in range(20)] == [0.0] * 20
    assert buckets.take("a") == pytest.approx(0.1)
    assert buckets.take("b") == 0
    clock.now = 0.1
    assert buckets.take("a") == 0 and buckets.take("a") == pytest.approx(0.1)
    clock.now = 1000
    assert [buckets.take("a") for _ in range(21)][-1] > 0


def test_a_rate_below_one_a_second_still_lets_one_through() -> None:
    buckets = Buckets(0.1, Clock())
    assert buckets.take("a") == 0 and buckets.take("a") == pytest.approx(10)


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 3)
    buckets = Buckets(0.5, Clock())
    for name in "abcd":
        assert buckets.take(name) == 0
    assert buckets.take("b") > 0 and buckets.take("a") == 0
    assert len(buckets._buckets) == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("socket", "socket"),
    ],
)
def test_an_ipv6_host_counts_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


async def asked(app: RateLimit, address: str, key: str = "") -> tuple[int, str]:
    """Status and Retry-After of one request."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-api-key", key.encode())] if key else []
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    await app({**scope, "client": (address, 1)}, asyncio.sleep, send)  # type: ignore[arg-type]
    found = dict(sent[0]["headers"])
    return sent[0]["status"], found.get(b"retry-after", b"").decode()


async def fine(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def test_an_address_that_asks_too_often_is_told_when_to_come_back() -> None:
    app = RateLimit(fine, KEYS, 0.2)
    assert await asked(app, "192.0.2.1") == (200, "")
    assert await asked(app, "192.0.2.1") == (429, "5")
    assert await asked(app, "192.0.2.2") == (200, "")


async def test_a_key_is_limited_over_all_addresses_and_a_wrong_one_spends_nothing_of_it() -> None:
    app = RateLimit(fine, KEYS, 0.5)
    assert (await asked(app, "192.0.2.1", "wrong-admin-key"))[0] == 200
    assert (await asked(app, "192.0.2.2", "the-admin-key"))[0] == 200
    assert (await asked(app, "192.0.2.3", "the-admin-key")) == (429, "2")
    assert (await asked(app, "192.0.2.4", "the-viewer-key"))[0] == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_is_not_limited(address: str) -> None:
    app = RateLimit(fine, KEYS, 0.1)
    assert [(await asked(app, address, "the-admin-key"))[0] for _ in range(20)] == [200] * 20
