"""GET of a collection: filters, pages, and answers that cannot be had."""

from typing import Any

import pytest

from control.store.base import Put, Store
from tests.control.admin.conftest import Client


@pytest.fixture
async def filled(api: Client) -> Client:
    """Routes 00 to 24, made in the opposite order."""
    await api.must_put("upstreams/1", {"nodes": {}})
    await api.must_put("upstreams/2", {"nodes": {}})
    for n in reversed(range(25)):
        body: dict[str, Any] = {"uri": f"/page/{n}", "upstream_id": "1"}
        if n % 5 == 0:
            body = {"uris": [f"/five/{n}", "/x"], "upstream_id": 2, "name": f"five {n}", "labels": {"five": "yes"}}
        await api.must_put(f"routes/{n:02}", body)
    return api


async def ids(api: Client, query: str) -> list[str]:
    listed = (await api.get(f"routes?{query}")).json
    return [item["value"]["id"] for item in listed["list"]]


EVERY = [f"{n:02}" for n in range(25)]
FIVES = ["00", "05", "10", "15", "20"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", EVERY),
        ("page=1", EVERY),
        ("page_size=10", EVERY),
        ("page=1&page_size=10", EVERY[:-11:-1]),
        ("page=3&page_size=10", ["04", "03", "02", "01", "00"]),
        ("page=4&page_size=10", []),
        ("page=0&page_size=10", EVERY[:-11:-1]),
        ("page=-5&page_size=10", EVERY[:-11:-1]),
        ("page=x&page_size=10", EVERY),
        ("name=five", FIVES),
        ("name=1[05]$", ["10", "15"]),
        ("name=none", []),
        ("label=five", FIVES),
        ("label=six", []),
        ("uri=/page/1", ["01", *(f"{n}" for n in range(11, 20) if n % 5)]),
        ("uri=^/x$", FIVES),
        ("filter=upstream_id%3D1", [id for id in EVERY if id not in FIVES]),
        ("filter=upstream_id%3D2", []),
        ("filter=upstream_id%3D9%26upstream_id%3D1", [id for id in EVERY if id not in FIVES]),
        ("filter=nothing%3D1", EVERY),
        ("name=five&label=five&uri=five/1", ["10", "15"]),
        ("name=five&page=1&page_size=10", FIVES[::-1]),
    ],
)
async def test_filters_and_pages(filled: Client, query: str, expected: list[str]) -> None:
    assert await ids(filled, query) == expected


async def test_total_counts_all_pages(filled: Client) -> None:
    assert (await filled.get("routes?page=2&page_size=10")).json["total"] == 25
    assert (await filled.get("routes?page=9&page_size=10&label=five")).json == {"list": [], "total": 5}


@pytest.mark.parametrize("size", [0, 9, 501, -1])
async def test_a_page_has_ten_to_five_hundred_entries(api: Client, size: int) -> None:
    answer = await api.get(f"routes?page=1&page_size={size}")
    assert (answer.status, answer.raw) == (400, b"page_size must be between 10 and 500")


@pytest.mark.parametrize(
    ("query", "says"), [("name=(", "name"), ("uri=[", "uri"), ("name=" + "x" * 257, "longer than")]
)
async def test_a_bad_pattern_is_refused(api: Client, query: str, says: str) -> None:
    answer = await api.get(f"routes?{query}")
    assert (answer.status, says in answer.error) == (400, True)


async def test_ten_thousand_objects_are_listed_whole(api: Client, store: Store) -> None:
    for first in range(0, 10_000, 2000):
        await store.txn([], [Put(f"/apisix/routes/{n:05}", b'{"uri":"/a"}') for n in range(first, first + 2000)])
    listed = (await api.get("routes")).json
    assert listed["total"] == 10_000
    assert [item["key"] for item in listed["list"]] == [f"/apisix/routes/{n:05}" for n in range(10_000)]
