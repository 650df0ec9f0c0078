"""The workers' counts as Prometheus metrics: APISIX's names where APISIX has one, `unilb_*` beside them.

Runs in the node. Keeps the newest absolute values of each living worker and the sums of the dead ones, so no counter
goes back when a worker is replaced; the gauges of a dead worker vanish with it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from userspace.obs import durations
from userspace.obs.fold import Row, SeriesKey, Sums, add_rows
from userspace.obs.histogram import add_samples
from userspace.obs.http_series import NEVER, Expiry
from userspace.obs.http_totals import Extra

_PARTS = ("request", "upstream", "gateway")
_STATES = ("active", "reading", "writing", "waiting")

_TOTALS = {
    "accepted": ("unilb_connections_accepted_total", "Client connections accepted."),
    "refused": ("unilb_connections_refused_total", "Client connections answered 503 at once: over max_connections."),
    "refused_client": (
        "unilb_connections_refused_client_total",
        "Client connections answered 503 at once: over max_connections_per_client.",
    ),
    "streams": ("unilb_streams_total", "TCP connections of stream listeners."),
    "tls_handshakes": ("unilb_tls_handshakes_total", "TLS handshakes of clients that succeeded."),
    "tls_resumed": ("unilb_tls_resumptions_total", "Of those, the ones that resumed a session."),
    "retries": ("unilb_upstream_retries_total", "Tries after the first of an exchange."),
    "retries_denied": ("unilb_upstream_retries_denied_total", "Tries that the retry budget did not allow."),
    "tunnels": ("unilb_tunnels_total", "Connections that became tunnels: upgrades and CONNECT."),
    "upstream_connects": ("unilb_upstream_connects_total", "Connections opened to endpoints."),
    "upstream_reuses": ("unilb_upstream_reuses_total", "Requests sent on a kept connection."),
    "log_lines": ("unilb_access_log_lines_total", "Access log lines handed to the writer."),
    "log_dropped": ("unilb_access_log_dropped_total", "Access log lines dropped: the sink was too slow."),
    "observations_dropped": (
        "unilb_passive_dropped_total",
        "Outcomes that passive checks were not told of: the node was too slow.",
    ),
    "outbox_delivered": ("unilb_outbox_delivered_total", "Log entries and mirrored requests that arrived."),
    "outbox_failed": ("unilb_outbox_failed_total", "Log entries and mirrored requests lost after the last try."),
    "outbox_dropped": ("unilb_outbox_dropped_total", "Log entries and mirrored requests dropped: too many waited."),
    "redis_asked": ("unilb_redis_questions_total", "Questions about limits whose counts stand in Redis."),
    "redis_failed": ("unilb_redis_failed_total", "Of those, the ones that Redis did not answer."),
    "redis_refused": ("unilb_redis_refused_total", "Of those, not asked: too many waited, or Redis had just failed."),
    "tally_evicted": ("unilb_tally_evicted_total", "Keys of limits forgotten early: their table was full."),
    "compression_declined": (
        "unilb_compression_declined_total",
        "Answers that gzip or brotli left as they were: too much memory was taken.",
    ),
    "splices_asked": ("unilb_splices_asked_total", "Connections that the node was asked to splice."),
    "splices_guarded": ("unilb_splices_guarded_total", "Of those, spliced with requests to come."),
    "splices_opaque": ("unilb_splices_opaque_total", "Of those, spliced tunnels and streams."),
    "splices_refused": ("unilb_splices_refused_total", "Of those, refused, so that they went on here."),
    "splices_unanswered": ("unilb_splices_unanswered_total", "Of those, without an answer in time."),
    "splices_back": ("unilb_splices_back_total", "Spliced connections that came back with a request to be decided."),
    "series_overflow": ("unilb_metric_series_overflow_total", "Look-ups of a metric series past the limit."),
}
_PER_WORKER = {
    "outbox_pending": ("unilb_outbox_pending", "Deliveries that wait."),
    "redis_waiting": ("unilb_redis_waiting", "Questions that wait for a connection to Redis."),
    "revision": ("unilb_config_revision", "Store revision the worker routes by."),
    "panics": (
        "unilb_upstreams_in_panic",
        "Upstreams of which so few endpoints are up that all are used.",
    ),
    "rejected_objects": ("unilb_config_rejected_objects", "Objects the worker refused; their last good version stays."),
}


class WorkerTotals(Collector):
    """Folds the reports of all workers. `report` on each counters message, `gone` once when a worker has ended.
    `expiry`: when APISIX's series are forgotten; `extra`: labels that they have besides. The workers go by both too."""

    def __init__(
        self,
        expiry: Expiry = NEVER,
        extra: Extra = ((), (), ()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._extra = extra
        self._expiry = expiry
        self._clock = clock
        self._living: dict[str, Sums] = {}
        self._gauges: dict[str, dict[str, int]] = {}
        self._departed = Sums()
        self._beside = Sums()

    def beside(self, requests: int, series: dict[SeriesKey, Row], lines: int = 0, dropped: int = 0) -> None:
        """Count along what no worker has seen, absolute as everything here: the requests of spliced connections, and
        the lines of the access log about them."""
        self._beside.totals = {"requests": requests, "log_lines": lines, "log_dropped": dropped}
        self._beside.series = series

    def report(self, worker: str, counters: Mapping[str, Any]) -> None:
        """Take the body of a counters message; `worker` is the label under which it is shown."""
        sums = self._living.setdefault(worker, Sums())
        sums.totals = counters["totals"]
        sums.errors = counters["errors"]
        sums.sticky = counters["sticky"]
        sums.decided = counters["decided"]
        for route, upstream, endpoint, *row in counters["series"]:
            sums.series[(route, upstream, endpoint)] = row
        sums.http.take(counters["http"], self._clock())
        self._gauges[worker] = counters["gauges"]

    def gone(self, worker: str) -> None:
        """Keep what this worker counted, drop its gauges. A worker that never reported is ignored."""
        sums = self._living.pop(worker, None)
        self._gauges.pop(worker, None)
        if sums is not None:
            sums.http.end()
            self._departed.add(sums)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, all workers folded, except those that name a worker."""
        folded = Sums()
        for sums in (self._departed, *self._living.values()):
            sums.http.expire(self._expiry, self._clock())
        folded.add(self._departed)
        folded.add(self._beside)
        for sums in self._living.values():
            folded.add(sums)
        yield from _http(folded, self._extra)
        yield from _routes(folded)
        yield from _own(folded)
        yield from self._connections(folded)
        for gauge, (name, text) in _PER_WORKER.items():
            metric = Metric(name, text, "gauge")
            for worker, gauges in self._gauges.items():
                metric.add_sample(name, {"worker": worker}, gauges.get(gauge, 0))
            yield metric

    def _connections(self, folded: Sums) -> Iterator[Metric]:
        client = Metric("apisix_nginx_http_current_connections", "Client connections by state.", "gauge")
        for state in _STATES:
            client.add_sample(client.name, {"state": state}, self._gauge(state))
        for state in ("accepted", "handled"):
            client.add_sample(client.name, {"state": state}, folded.totals.get("accepted", 0))
        client.add_sample(client.name, {"state": "total"}, folded.totals.get("requests", 0))
        yield client
        upstream = Metric("unilb_upstream_connections", "Connections to endpoints by state.", "gauge")
        for state in ("active", "idle"):
            upstream.add_sample(upstream.name, {"state": state}, self._gauge(f"upstream_{state}"))
        yield upstream
        tunnels = Metric("unilb_tunnels", "Tunnels open now; each is an active client connection too.", "gauge")
        tunnels.add_sample(tunnels.name, {}, self._gauge("tunnels"))
        yield tunnels

    def _gauge(self, name: str) -> int:
        return sum(gauges.get(name, 0) for gauges in self._gauges.values())


def _http(folded: Sums, extra: Extra) -> Iterator[Metric]:
    """APISIX's own: of routes that have the plugin, but for the last."""
    yield from folded.http.collect(extra)
    # A gauge in APISIX too, whatever its name says.
    requests = Metric("apisix_http_requests_total", "Requests since the node started.", "gauge")
    requests.add_sample(requests.name, {}, folded.totals.get("requests", 0))
    yield requests


def _routes(folded: Sums) -> Iterator[Metric]:
    """Of every route, whether it has the plugin or not."""
    by_route: dict[str, Row] = {}
    for (route, _, _), row in folded.series.items():
        known = by_route.get(route)
        by_route[route] = row if known is None else add_rows(known, row)
    size = Metric("unilb_route_bytes_total", "Bytes from (in) and to (out) clients.", "counter")
    latency = Metric("unilb_route_latency_ms", "The request, the upstream's share, the gateway's own.", "histogram")
    for route, row in by_route.items():
        size.add_sample(size.name, {"route": route, "direction": "in"}, row[1])
        size.add_sample(size.name, {"route": route, "direction": "out"}, row[2])
        for part, histogram in zip(_PARTS, row[3:6], strict=True):
            add_samples(latency, {"route": route, "part": part}, histogram)
    yield size
    yield latency


def _own(folded: Sums) -> Iterator[Metric]:
    for total, (name, text) in _TOTALS.items():
        metric = Metric(name, text, "counter")
        metric.add_sample(name, {}, folded.totals.get(total, 0))
        yield metric
    responses = Metric("unilb_endpoint_responses_total", "Responses by endpoint and status class.", "counter")
    for (route, upstream, endpoint), row in folded.series.items():
        classes: dict[str, int] = {}
        for code, count in row[0].items():
            classes[f"{code[0]}xx"] = classes.get(f"{code[0]}xx", 0) + count
        labels = {"route": route, "upstream": upstream, "endpoint": endpoint}
        for name, count in classes.items():
            responses.add_sample(responses.name, labels | {"class": name}, count)
    yield responses
    errors = Metric("unilb_errors_total", "Failed tries and refused requests, by whose side failed and how.", "counter")
    for key, count in folded.errors.items():
        source, _, kind = key.partition(" ")
        errors.add_sample(errors.name, {"source": source, "kind": kind}, count)
    yield errors
    sticky = Metric("unilb_sticky_requests_total", "Requests to sticky routes by the state of the cookie.", "counter")
    for state, count in folded.sticky.items():
        sticky.add_sample(sticky.name, {"state": state}, count)
    yield sticky
    decided = Metric(
        "unilb_splice_decided_seconds",
        "From the segment that brings a spliced connection back until a worker has decided the request in it.",
        "histogram",
    )
    durations.add_samples(decided, folded.decided)
    yield decided
