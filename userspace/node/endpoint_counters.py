"""The health of endpoints as Prometheus metrics: APISIX's name where it has one, `unilb_*` beside it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from userspace.config.compile_datapath import UpShare
from userspace.node.checking import Checking

MAX_ENDPOINTS: Final = 20_000  # in one scrape, of each metric that names them


@dataclass(slots=True)
class EndpointCollector(Collector):
    """What the node's checker says and counts. shares: of an L4 node's VIPs that know panic, by their ids."""

    checking: Checking
    shares: Callable[[], Mapping[str, UpShare]] = dict

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "unilb_endpoint_up", "1 while a checked endpoint is sent requests.", labels=["upstream", "endpoint"]
        )
        status = GaugeMetricFamily(
            "apisix_upstream_status", "1 for healthy, 0 for unhealthy endpoints.", labels=["name", "ip", "port"]
        )
        verdicts = self.checking.verdicts
        for endpoint in islice(verdicts, MAX_ENDPOINTS):
            status.add_metric([name_of(endpoint.upstream), endpoint.ip, str(endpoint.port)], endpoint.is_up)
            for address in endpoint.endpoints:
                up.add_metric([endpoint.upstream, address], address not in endpoint.down)
        yield status
        yield up
        transitions = CounterMetricFamily(
            "unilb_endpoint_transitions", "Endpoints that went up, down, or were ejected.", labels=["upstream", "to"]
        )
        for (upstream, to), count in verdicts.transitions.items():
            transitions.add_metric([upstream, to], count)
        yield transitions
        panics = GaugeMetricFamily(
            "unilb_vip_in_panic", "1 while a VIP uses all its targets, as too few are up.", labels=["vip"]
        )
        for vip, share in self.shares().items():
            panics.add_metric([vip], share.is_panic)
        yield panics
        yield from self._counted("checks", "unilb_health_checks", "Probes by what they met, and what went wrong.")
        yield GaugeMetricFamily(
            "unilb_names_failing", "Names whose last question was in vain.", self.checking.failing_names
        )
        yield from self._counted("names", "unilb_names", "Names of endpoints: answers, failures, changes.")
        yield CounterMetricFamily(
            "unilb_checker_restarts", "Checkers replaced after they died.", self.checking.restarts
        )

    def _counted(self, what: str, name: str, text: str) -> Iterator[Metric]:
        metric = CounterMetricFamily(name, text, labels=["result"])
        for result, count in self.checking.counts(what).items():
            metric.add_metric([result], count)
        yield metric


def name_of(upstream: str) -> str:
    """APISIX's name of a checker: the key of the object that the upstream stands in."""
    return f"/apisix/{upstream}" if "/" in upstream else f"/apisix/upstreams/{upstream}"
