"""What the checker last said."""

from typing import Any

import pytest

from userspace.node import verdicts as module
from userspace.node.verdicts import Verdicts


def row(ip: str, status: str = "healthy", ejected: tuple[str, ...] = (), upstream: str = "u") -> list[Any]:
    return [upstream, ip, 80, ip, [f"{ip}:80"], status, 0, 0, 2, 0, "connect: refused", list(ejected)]


def test_what_is_not_healthy_is_down() -> None:
    verdicts = Verdicts()
    rows = [row("10.0.0.1"), row("10.0.0.2", "mostly_healthy"), row("10.0.0.3", "mostly_unhealthy")]
    changed, _ = verdicts.take([*rows, row("10.0.0.4", "unhealthy")], [])
    assert changed == {"u"} and verdicts.down("u") == {"10.0.0.3:80", "10.0.0.4:80"}
    assert verdicts.down_message(changed) == {
        "type": "down",
        "upstreams": {"u": ["10.0.0.3:80", "10.0.0.4:80"]},
    }


def test_only_what_changes_for_workers_is_passed_on() -> None:
    verdicts = Verdicts()
    assert verdicts.take([row("10.0.0.1")], [])[0] == set()
    assert verdicts.take([row("10.0.0.1", "mostly_healthy")], [])[0] == set()
    assert verdicts.take([row("10.0.0.1", "unhealthy")], [])[0] == {"u"}
    assert verdicts.take([row("10.0.0.1", "mostly_unhealthy")], [])[0] == set()
    assert verdicts.take([row("10.0.0.1")], [])[0] == {"u"}
    assert verdicts.down_message({"u"}) == {"type": "down", "upstreams": {"u": []}}


def test_what_is_gone_is_down_no_more() -> None:
    verdicts = Verdicts()
    verdicts.take([row("10.0.0.1", "unhealthy"), row("10.0.0.2")], [])
    assert verdicts.take([], [["u", "10.0.0.1", 80]])[0] == {"u"}
    assert [endpoint.ip for endpoint in verdicts] == ["10.0.0.2"]
    verdicts.take([], [["u", "10.0.0.2", 80], ["never", "10.0.0.2", 80]])
    assert list(verdicts) == []


def test_an_outlier_is_down_although_it_is_healthy() -> None:
    verdicts = Verdicts()
    changed, events = verdicts.take([row("10.0.0.1", ejected=("10.0.0.1:80",))], [])
    assert changed == {"u"} and verdicts.down("u") == {"10.0.0.1:80"}
    assert events == ["endpoint 10.0.0.1:80 of upstream u is left out: connect: refused"]
    assert verdicts.transitions == {("u", "ejected"): 1}


def test_ups_and_downs_are_events_with_their_reason_and_counted() -> None:
    verdicts = Verdicts()
    _, events = verdicts.take([row("10.0.0.1", "unhealthy"), row("10.0.0.2", "mostly_healthy")], [])
    assert events == ["endpoint 10.0.0.1:80 of upstream u is down: connect: refused"]
    _, events = verdicts.take([row("10.0.0.1")], [])
    assert events == ["endpoint 10.0.0.1:80 of upstream u is up: connect: refused"]
    assert verdicts.transitions == {("u", "down"): 1, ("u", "up"): 1}


def test_a_new_worker_is_told_of_what_is_down_and_of_all_names() -> None:
    verdicts = Verdicts()
    verdicts.take([row("10.0.0.1", "unhealthy"), row("10.0.0.2", upstream="v")], [])
    events = verdicts.take_names({"a.example": [["10.0.0.1", "10.0.0.2"], ""], "b.example": [[], "no data"]})
    assert events == ["name a.example: 10.0.0.1, 10.0.0.2", "name b.example has no address: no data"]
    assert verdicts.down_message() == {"type": "down", "upstreams": {"u": ["10.0.0.1:80"]}}
    verdicts.take_names({"b.example": None})
    assert verdicts.names_message() == {"type": "names", "names": {"a.example": [["10.0.0.1", "10.0.0.2"], ""]}}


def test_what_is_down_is_reported_first() -> None:
    verdicts = Verdicts()
    verdicts.take([row("10.0.0.1"), row("10.0.0.2", "unhealthy"), row("10.0.0.3", ejected=("10.0.0.3:80",))], [])
    assert verdicts.reported() == {
        "health": [
            ["u", "10.0.0.2", 80, "10.0.0.2", "unhealthy", False],
            ["u", "10.0.0.3", 80, "10.0.0.3", "healthy", True],
            ["u", "10.0.0.1", 80, "10.0.0.1", "healthy", False],
        ],
        "health_counters": [[0, 0, 2, 0]] * 3,
        "endpoints": {"checked": 3, "reported": 3, "transitions": 2},
    }


def test_a_report_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPORTED", 1)
    verdicts = Verdicts()
    verdicts.take([row("10.0.0.1"), row("10.0.0.2", "unhealthy")], [])
    reported = verdicts.reported()
    assert [each[1] for each in reported["health"]] == ["10.0.0.2"]
    assert reported["endpoints"] == {"checked": 2, "reported": 1, "transitions": 1}


def test_an_upstream_that_is_gone_is_counted_no_more() -> None:
    verdicts = Verdicts()
    verdicts.take([row("10.0.0.1", "unhealthy")], [])
    verdicts.take([], [["u", "10.0.0.1", 80]])
    assert verdicts.transitions == {} and verdicts.reported()["endpoints"]["transitions"] == 1
