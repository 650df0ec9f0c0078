from typing import Any

from control.model.route import Route
from control.model.upstream import Endpoint
from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of
from userspace.config.compiled import CompiledRoute, CompiledUpstream, UpstreamSlot
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import EVERY_REQUEST
from userspace.plugins.filters.prometheus import Prometheus
from userspace.plugins.summary import Summary

ROUTE = {"uris": ["/a/*", "/b"], "hosts": ["*.x.test"], "name": "shop", "service_id": "s1"}
MODEL = ("traditional_http", "", "")


class Meter:
    def __init__(self) -> None:
        self.counted: list[tuple[Any, ...]] = []

    def count(self, *what: Any) -> None:
        self.counted.append(what)


def at(doc: dict[str, Any] = ROUTE) -> Request:
    """A request that is over: it found its route, a consumer and an endpoint."""
    one = request("GET", "/a/1", host="w.x.test")
    nothing: Any = CompiledUpstream
    one.route = CompiledRoute(Route.from_json({"id": "r1", "upstream_id": "u", **doc}), UpstreamSlot(nothing))
    one.consumer_name = "jack"
    one.endpoint = Endpoint("10.0.0.1", 80, 1)
    return one


def summary(status: int = 200, address: str | None = "10.0.0.1:80", is_ours: bool = False) -> Summary:
    return Summary(status, 0.0, 7.0, 5.0, 10, 20, address, None if is_ours else status, None, is_ours)


def counted(one: Request, over: Summary, conf: dict[str, Any] | None = None, **env: Any) -> tuple[Any, ...]:
    meter = Meter()
    filter_of("prometheus", conf or {}, Env(meter=meter, **env)).log(one, over)
    [found] = meter.counted
    return found


def test_a_request_counts_under_how_it_was_found_and_who_answered() -> None:
    status, bandwidth, latency, size, request_ms, upstream_ms = counted(at(), summary())
    assert status == ("200", "r1", "/a/*", "*.x.test", "s1", "jack", "10.0.0.1", *MODEL, "upstream")
    assert bandwidth == latency == ("r1", "s1", "jack", "10.0.0.1", *MODEL)
    assert (size, request_ms, upstream_ms) == ((10, 20), 7.0, 5.0)


def test_a_request_without_a_route_counts_under_nothing() -> None:
    status, bandwidth, _, _, _, upstream_ms = counted(request(), summary(404, None, True))
    assert status == ("404", "", "", "", "", "", "", *MODEL, "apisix")
    assert bandwidth == ("", "", "", "", *MODEL) and upstream_ms is None


def test_an_endpoint_that_did_not_answer_is_told_from_a_plugin_that_did() -> None:
    assert counted(at(), summary(502, is_ours=True))[0][-1] == "nginx"
    assert counted(at(), summary(403, None, is_ours=True))[0][-1] == "apisix"


def test_names_stand_for_ids_where_there_are_names() -> None:
    names = {"s1": "checkout"}
    status, bandwidth, *_ = counted(at(), summary(), {"prefer_name": True}, service_name=names.get)
    assert (status[1], status[4]) == ("shop", "checkout") and bandwidth[:2] == ("shop", "checkout")
    status = counted(at({"uri": "/*", "service_id": "s2"}), summary(), {"prefer_name": True}, service_name=names.get)[0]
    assert (status[1], status[4]) == ("r1", "s2")


def test_labels_that_metadata_disables_are_left_empty_from_then_on() -> None:
    metadata: dict[str, Any] = {}
    meter = Meter()
    filter = filter_of("prometheus", {}, Env(meter=meter, metadata=lambda plugin: metadata))
    filter.log(at(), summary())
    metadata = {"disabled_labels": {"http_status": ["node", "matched_uri"], "bandwidth": ["node"]}}
    filter.log(at(), summary())
    (before, *_), (status, bandwidth, latency, *_) = meter.counted
    assert before[2] == "/a/*"
    assert status == ("200", "r1", "", "*.x.test", "s1", "jack", "", *MODEL, "upstream")
    assert bandwidth == ("r1", "s1", "jack", "", *MODEL) and latency == ("r1", "s1", "jack", "10.0.0.1", *MODEL)


def test_it_wants_every_request() -> None:
    assert Prometheus.footprint({}) is EVERY_REQUEST


def test_where_nobody_counts_nothing_happens() -> None:
    filter_of("prometheus", {}).log(at(), summary())


def test_labels_of_the_operator_s_come_last_and_clients_can_not_make_them_long() -> None:
    one = at()
    one.set_header(b"X-Y", b"\xff" + b"y" * 1000)
    extra = (("status", "arg_none"), (), ("http_x_y",))
    one.summary = summary(201)
    status, bandwidth, latency, *_ = counted(one, one.summary, extra_labels=extra)
    assert status[-3:] == ("upstream", "201", "") and len(bandwidth) == 7
    assert len(latency) == 8 and latency[-1] == "?" + "y" * 255
