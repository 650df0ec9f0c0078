"""What APISIX tells of its configuration and of itself, under APISIX's names."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from userspace.node.report import VERSION

KINDS: Final = ("consumers", "global_rules", "protos", "routes", "services", "ssls", "stream_routes", "upstreams")


class Modified:
    """By kind of APISIX's objects, the revision of its last change that this node was told of. What a list of the whole
    store brings counts as changed at the revision of the list."""

    def __init__(self) -> None:
        self.revisions = dict.fromkeys(KINDS, 0)

    def note(self, revision: int, keys: Iterable[str]) -> None:
        for kind in {key.split("/", 3)[2] for key in keys if key.startswith("/apisix/")}:
            if kind in self.revisions:
                self.revisions[kind] = revision


class StoreCollector(Collector):
    """`is_reachable`: the store answered when it was last asked; `revision`: the newest that is known."""

    def __init__(self, modified: Modified, is_reachable: Callable[[], bool], revision: Callable[[], int]) -> None:
        self._modified = modified
        self._is_reachable = is_reachable
        self._revision = revision

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("apisix_node_info", "This node.", labels=["hostname", "version"])
        info.add_metric([os.uname().nodename, VERSION], 1)
        yield info
        yield GaugeMetricFamily(
            "apisix_etcd_reachable", "1 while the store is in contact, 0 while it is not.", int(self._is_reachable())
        )
        indexes = GaugeMetricFamily("apisix_etcd_modify_indexes", "Revisions by kind of object.", labels=["key"])
        revisions = self._modified.revisions
        for kind, revision in revisions.items():
            indexes.add_metric([kind], revision)
        newest = max(revisions.values())
        indexes.add_metric(["prev_index"], newest)
        indexes.add_metric(["max_modify_index"], newest)
        indexes.add_metric(["x_etcd_index"], self._revision())
        yield indexes
