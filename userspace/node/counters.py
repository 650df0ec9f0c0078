"""The datapath's counters and the node's own state as Prometheus metrics."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from userspace.node import abi
from userspace.node.abi import DropReason, Event
from userspace.node.ageing import Swept
from userspace.node.maps import Table


@dataclass(slots=True)
class DatapathCollector(Collector):
    """Reads the maps at each scrape; `swept` is what the last sweep of the sessions found."""

    tables: Mapping[str, Table]
    kernel_bytes: int
    swept: Swept = field(default_factory=lambda: Swept(0, 0, 0))
    removed: int = 0
    sweep_seconds: float = 0.0

    def note(self, swept: Swept, seconds: float) -> None:
        self.swept, self.sweep_seconds = swept, seconds
        self.removed += swept.removed

    def collect(self) -> Iterator[Metric]:
        drops = CounterMetricFamily("unilb_drops", "Packets dropped by the datapath, by reason.", labels=["reason"])
        for reason, count in zip(DropReason, self.tables["drops"].totals(len(DropReason)), strict=True):
            if reason is not DropReason.NONE:
                drops.add_metric([reason.name.lower()], count)
        yield drops
        events = CounterMetricFamily("unilb_datapath_events", "What the datapath did.", labels=["event"])
        for event, count in zip(Event, self.tables["events"].totals(len(Event)), strict=True):
            events.add_metric([event.name.lower()], count)
        yield events
        yield from self._vteps()
        yield _gauge("unilb_sessions", "FNAT sessions at the last sweep.", self.swept.sessions)
        yield _gauge(
            "unilb_sessions_orphaned", "Entries without their other half at the last sweep.", self.swept.orphans
        )
        yield _gauge("unilb_sessions_max", "FNAT sessions that the table holds.", self._capacity() // 2)
        yield _gauge("unilb_sessions_sweep_seconds", "How long the last sweep took.", self.sweep_seconds)
        yield CounterMetricFamily("unilb_sessions_aged", "Sessions removed by ageing.", self.removed)
        yield _gauge("unilb_datapath_memory_bytes", "Kernel memory of maps and programs.", self.kernel_bytes)

    def _capacity(self) -> int:
        return self.tables["sessions"].shape.max_entries

    def _vteps(self) -> Iterator[Metric]:
        if "vteps" not in self.tables:
            return
        packets = CounterMetricFamily("unilb_vtep_packets", "Packets taken from a VTEP.", labels=["vtep", "vni"])
        octets = CounterMetricFamily("unilb_vtep_bytes", "Outer bytes taken from a VTEP.", labels=["vtep", "vni"])
        for raw_key, raw_value in self.tables["vteps"].items():
            key = abi.VtepKey.from_buffer_copy(raw_key)
            traffic = abi.Traffic.from_buffer_copy(raw_value)
            if any(key.vtep.bytes):
                labels = [abi.text(key.vtep), str(key.vni)]
                packets.add_metric(labels, traffic.packets)
                octets.add_metric(labels, traffic.bytes)
        yield packets
        yield octets


@dataclass(slots=True)
class NodeCollector(Collector):
    """What the node knows about its configuration and its workers. age: seconds since the store was last heard of."""

    revision: Callable[[], int]
    age: Callable[[], float]
    rejected: Callable[[], int]
    restarts: Callable[[], int]
    held: Callable[[], int]
    report_failures: Callable[[], int]

    def collect(self) -> Iterator[Metric]:
        yield _gauge("unilb_node_revision", "Store revision of the node's configuration.", self.revision())
        yield _gauge("unilb_node_store_age_seconds", "Since the store was last heard of.", self.age())
        yield _gauge("unilb_node_rejected_objects", "Objects of the store that are not in use.", self.rejected())
        yield CounterMetricFamily("unilb_worker_restarts", "Workers replaced after they died.", self.restarts())
        yield _gauge("unilb_node_held_prefixes", "Kinds of objects kept although a wiped store lost them.", self.held())
        yield CounterMetricFamily(
            "unilb_node_report_failures", "Reports that the store did not take.", self.report_failures()
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)
