import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said
from userspace.plugins.env import Env, Told
from userspace.plugins.outcome import Asked, Reply

METRICS = "/apisix/prometheus/metrics"


def asking(told: bytes | None, conf: dict[str, str], path: str) -> list[Reply]:
    """What is answered once the node has answered `told`."""

    def metrics(tell: Told) -> None:
        tell(told)

    outcome = filter_of("public-api", conf, Env(metrics=metrics)).access(request("GET", path))
    assert isinstance(outcome, Asked)
    replies: list[Reply] = []
    outcome.begin(replies.append)
    return replies


@pytest.mark.parametrize(("conf", "path"), [({}, METRICS), ({"uri": METRICS}, "/mine")])
def test_the_metrics_stand_under_their_own_address_or_the_route_s(conf: dict[str, str], path: str) -> None:
    assert [said(reply) for reply in asking(b"a 1\n", conf, path)] == [(200, "a 1\n")]


def test_a_node_that_does_not_answer_is_no_good_answer() -> None:
    assert [said(reply) for reply in asking(None, {}, METRICS)] == [(503, "")]


@pytest.mark.parametrize(
    ("conf", "method", "path"), [({}, "GET", "/other"), ({"uri": "/other"}, "GET", METRICS), ({}, "POST", METRICS)]
)
def test_what_no_plugin_offers_is_not_found(conf: dict[str, str], method: str, path: str) -> None:
    outcome = filter_of("public-api", conf, Env(metrics=lambda told: None)).access(request(method, path))
    assert said(outcome) == (404, "")


def test_without_a_node_there_is_nothing_to_show() -> None:
    assert said(filter_of("public-api", {}).access(request("GET", METRICS))) == (503, "")
