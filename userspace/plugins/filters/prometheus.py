"""prometheus: requests are counted under APISIX's labels (`userspace/obs/http_series.py`)."""

from collections.abc import Mapping
from typing import Any, Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.log_entry import readable
from userspace.plugins.summary import Summary

MAX_VALUE: Final = 256
"""Characters of what an extra label says: clients may have a say in it."""
# Of requests that go to no language model.
_MODEL: Final = ("traditional_http", "", "")
_STATUS: Final = (
    *("code", "route", "matched_uri", "matched_host", "service", "consumer", "node"),
    *("request_type", "request_llm_model", "llm_model", "response_source"),
)
_TRAFFIC: Final = ("route", "service", "consumer", "node", "request_type", "request_llm_model", "llm_model")


class Prometheus(Filter):
    NAME = "prometheus"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._prefers_names: bool = conf["prefer_name"]
        # Positions of the labels that are left empty, by the metadata that says so.
        self._metadata: Mapping[str, Any] | None = None
        self._empty: tuple[tuple[int, ...], ...] = ((), (), ())

    def log(self, request: Request, summary: Summary) -> None:
        meter = self.env.meter
        if meter is None:
            return
        route_id, service_id = self._where(request)
        consumer = request.consumer_name or ""
        node = request.endpoint.host if request.endpoint is not None else ""
        matched = request.matched_uri or "", request.matched_host or ""
        source = "upstream" if not summary.is_ours else "nginx" if summary.upstream_address is not None else "apisix"
        status: tuple[str, ...] = (str(summary.status), route_id, *matched, service_id, consumer, node, *_MODEL, source)
        bandwidth: tuple[str, ...] = (route_id, service_id, consumer, node, *_MODEL)
        latency = bandwidth
        metadata = self.env.metadata(self.NAME)
        if metadata is not self._metadata:
            self._metadata, self._empty = metadata, _positions(metadata)
        if any(self._empty):
            status, bandwidth, latency = map(_without, (status, bandwidth, latency), self._empty)
        extra = self.env.extra_labels
        if any(extra):
            status, bandwidth, latency = (
                (*labels, *_values(request, names))
                for labels, names in zip((status, bandwidth, latency), extra, strict=True)
            )
        upstream_ms = summary.upstream_ms if summary.upstream_address is not None else None
        meter.count(status, bandwidth, latency, (summary.bytes_in, summary.bytes_out), summary.request_ms, upstream_ms)

    def _where(self, request: Request) -> tuple[str, str]:
        """The route and its service, as ids or names."""
        if request.route is None:
            return "", ""
        route = request.route.route
        service: str = route.service_id or ""
        if not self._prefers_names:
            return route.id, service
        return route.name or route.id, (self.env.service_name(service) or service) if service else ""


def _values(request: Request, names: tuple[str, ...]) -> list[str]:
    return [readable(request.var(name) or "")[:MAX_VALUE] for name in names]


def _positions(metadata: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    disabled = metadata.get("disabled_labels") or {}
    return tuple(
        tuple(labels.index(label) for label in disabled.get(metric) or () if label in labels)
        for metric, labels in (("http_status", _STATUS), ("bandwidth", _TRAFFIC), ("http_latency", _TRAFFIC))
    )


def _without(labels: tuple[str, ...], positions: tuple[int, ...]) -> tuple[str, ...]:
    return tuple("" if at in positions else label for at, label in enumerate(labels)) if positions else labels
