"""The health of endpoints as metrics."""

import pytest

from tests.userspace.node.test_verdicts import row
from userspace.config.compile_datapath import UpShare
from userspace.config.settings import Settings
from userspace.node import endpoint_counters as module
from userspace.node.checking import Checking
from userspace.node.endpoint_counters import EndpointCollector, name_of


def collected(checking: Checking, **shares: UpShare) -> dict[tuple[str, ...], float]:
    """Value by name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in EndpointCollector(checking, lambda: shares).collect()
        for sample in metric.samples
    }


@pytest.fixture
def checking() -> Checking:
    return Checking(Settings(), None, lambda message: None, lambda: (0, {}))


def test_every_checked_endpoint_is_up_or_down(checking: Checking) -> None:
    checking._received({"type": "health", "gone": [], "rows": [
        row("10.0.0.1"), row("10.0.0.2", "unhealthy", upstream="routes/1"), row("10.0.0.3", ejected=("10.0.0.3:80",)),
    ]})  # fmt: skip
    values = collected(checking)
    assert values["unilb_endpoint_up", "u", "10.0.0.1:80"] == 1
    assert values["unilb_endpoint_up", "routes/1", "10.0.0.2:80"] == 0
    assert values["unilb_endpoint_up", "u", "10.0.0.3:80"] == 0
    assert values["apisix_upstream_status", "/apisix/upstreams/u", "10.0.0.3", "80"] == 1
    assert values["apisix_upstream_status", "/apisix/routes/1", "10.0.0.2", "80"] == 0
    assert values["unilb_endpoint_transitions_total", "routes/1", "down"] == 1


def test_what_the_checker_counted_is_there(checking: Checking) -> None:
    checking._received(
        {"type": "counters", "checks": {"success": 5, "late": 1}, "names": {"failures": 2}, "failing_names": 1}
    )
    values = collected(checking)
    assert values["unilb_health_checks_total", "success"] == 5
    assert values["unilb_names_total", "failures"] == 2 and values["unilb_names_failing",] == 1
    assert values["unilb_checker_restarts_total",] == 0


def test_a_scrape_names_no_more_endpoints_than_the_limit(checking: Checking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENDPOINTS", 1)
    checking._received({"type": "health", "gone": [], "rows": [row("10.0.0.1"), row("10.0.0.2")]})
    assert sum(key[0] == "unilb_endpoint_up" for key in collected(checking)) == 1


def test_a_vip_that_knows_panic_is_in_one_or_not(checking: Checking) -> None:
    values = collected(checking, web=UpShare(1, 4, 50), db=UpShare(2, 4, 50))
    assert values["unilb_vip_in_panic", "web"] == 1
    assert values["unilb_vip_in_panic", "db"] == 0


@pytest.mark.parametrize(("upstream", "name"), [("1", "/apisix/upstreams/1"), ("routes/1", "/apisix/routes/1")])
def test_a_checker_has_apisix_s_name(upstream: str, name: str) -> None:
    assert name_of(upstream) == name
