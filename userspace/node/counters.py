"""The datapath's counters and the node's own state as Prometheus metrics."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from userspace.net import join_host_port
from userspace.node import abi, accounts
from userspace.node.abi import DropReason, Event
from userspace.node.ageing import Swept
from userspace.node.maps import Table


@dataclass(slots=True)
class DatapathCollector(Collector):
    """Reads the maps at each scrape; `swept` is what the last sweep of the sessions found.

    checksums: of each service's ring, by its key. laddr_ports: how many local ports each local address has.
    """

    tables: Mapping[str, Table]
    kernel_bytes: int
    checksums: Mapping[bytes, int] = field(default_factory=dict)
    laddr_ports: Callable[[], tuple[tuple[str, ...], int]] = lambda: ((), 0)
    swept: Swept = field(default_factory=Swept)
    removed: int = 0
    sweep_seconds: float = 0.0
    resets: int = 0

    def note(self, swept: Swept, seconds: float) -> None:
        self.swept, self.sweep_seconds = swept, seconds
        self.removed += swept.removed + swept.removed_alone

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
        yield from self._accounts()
        yield from self._rings()
        yield from self._ports()
        yield _gauge("unilb_sessions", "FNAT sessions at the last sweep.", self.swept.sessions)
        yield _gauge(
            "unilb_sessions_orphaned", "Entries without their other half at the last sweep.", self.swept.orphans
        )
        yield _gauge("unilb_sessions_max", "FNAT sessions that the table holds.", self._capacity() // 2)
        yield _gauge("unilb_sessions_sweep_seconds", "How long the last sweep took.", self.sweep_seconds)
        yield CounterMetricFamily("unilb_sessions_aged", "Sessions removed by ageing.", self.removed)
        yield CounterMetricFamily("unilb_sessions_reset", "Resets sent to ends of sessions taken away.", self.resets)
        yield _gauge("unilb_datapath_memory_bytes", "Kernel memory of maps and programs.", self.kernel_bytes)

    def _capacity(self) -> int:
        return self.tables["sessions"].shape.max_entries

    def _accounts(self) -> Iterator[Metric]:
        """Per VIP's port on L4 nodes, per VPC on gateways."""
        labels = ["owner", "direction"]
        packets = CounterMetricFamily("unilb_carried_packets", "Packets of sessions, by VIP or VPC.", labels=labels)
        octets = CounterMetricFamily("unilb_carried_bytes", "IP bytes of sessions, by VIP or VPC.", labels=labels)
        opened = CounterMetricFamily("unilb_sessions_opened", "Sessions opened, by VIP or VPC.", labels=["owner"])
        active = GaugeMetricFamily(
            "unilb_sessions_active", "Sessions at the last sweep, by VIP or VPC.", labels=["owner"]
        )
        for owner, index in sorted(set(accounts.held(self.tables)), key=repr):
            account = accounts.read(self.tables["accounts"], index)
            name = owner_name(owner)
            for direction, text in enumerate(("forward", "reply")):
                packets.add_metric([name, text], account.packets[direction])
                octets.add_metric([name, text], account.bytes[direction])
            opened.add_metric([name], account.sessions)
            active.add_metric([name], self.swept.by_account[index])
        yield from (packets, octets, opened, active)

    def _rings(self) -> Iterator[Metric]:
        rings = GaugeMetricFamily(
            "unilb_ring_checksum", "CRC-32 of a VIP's ring: equal where steering is.", labels=["owner"]
        )
        for key, checksum in self.checksums.items():
            rings.add_metric([owner_name(key)], checksum)
        yield rings

    def _ports(self) -> Iterator[Metric]:
        """One port serves one session per remote end, so a pool may hold more sessions than it has ports."""
        laddrs, ports = self.laddr_ports()
        used = GaugeMetricFamily(
            "unilb_laddr_sessions", "Sessions by local address, at the last sweep.", labels=["laddr"]
        )
        for laddr in laddrs:
            used.add_metric([laddr], self.swept.ports[bytes(abi.addr(laddr))])
        yield used
        yield _gauge("unilb_laddr_ports", "Local ports of each local address.", ports)

    def _vteps(self) -> Iterator[Metric]:
        """VNI "dsr": L4 nodes, and what they send to DSR VIPs."""
        if "vteps" not in self.tables:
            return
        packets = CounterMetricFamily("unilb_vtep_packets", "Packets taken from a VTEP.", labels=["vtep", "vni"])
        octets = CounterMetricFamily("unilb_vtep_bytes", "Outer bytes taken from a VTEP.", labels=["vtep", "vni"])
        for raw_key, raw_value in self.tables["vteps"].items():
            key = abi.VtepKey.from_buffer_copy(raw_key)
            traffic = abi.Traffic.from_buffer_copy(raw_value)
            if any(key.vtep.bytes):
                labels = [abi.text(key.vtep), "dsr" if key.vni == abi.DSR_VNI else str(key.vni)]
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


def owner_name(owner: bytes | int) -> str:
    """Return "address:port/protocol" of a service's key, or "vni N"."""
    if isinstance(owner, int):
        return f"vni {owner}"
    key = abi.ServiceKey.from_buffer_copy(owner)
    protocol = {6: "tcp", 17: "udp"}.get(key.proto, str(key.proto))
    return f"{join_host_port(abi.text(key.addr), key.port)}/{protocol}"


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)
