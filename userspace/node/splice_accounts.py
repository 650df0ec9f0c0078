"""Which index of the map `splice_counts` counts which route and endpoint. A file keeps their names over restarts."""

import json
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from userspace.node.maps import Table
from userspace.node.splice_abi import LATENCY_BUCKETS, SpliceCount

log = logging.getLogger("unilb.splices")

Owner = tuple[str, str, str]  # route, upstream, endpoint
NOBODY: Owner = ("", "", "")
Row = tuple[int, str, str, str, str | None]  # index, owner, the VPC of the endpoint


@dataclass(frozen=True, slots=True)
class Count:
    """What the spliced requests of an owner have cost. statuses: of no class, 1xx, .. 5xx. latency: by bucket, and
    their sum in seconds."""

    requests: int
    bytes: tuple[int, int]
    statuses: tuple[int, ...]
    latency: tuple[int, ...]
    seconds: float


class SpliceAccounts:
    """Indices from 1; 0 counts for nobody: what came when all were given out, `overflowed` times. `in_use` says
    which of them splices carry: one that none does is given out anew when there is no other."""

    def __init__(self, counts: Table, path: Path, in_use: Callable[[int], bool]) -> None:
        self.on_new: Callable[[Row], None] | None = None  # told of each owner, before anything is counted for it
        self._counts = counts
        self._path = path
        self._in_use = in_use
        self._index: dict[Owner, int] = {}
        self._vpc: dict[int, str] = {}
        self.overflowed = 0
        for index, owner, vpc_id in self._stored():
            self._index[owner] = index
            if vpc_id is not None:
                self._vpc[index] = vpc_id

    def of(self, owner: Owner, vpc_id: str | None = None) -> int:
        """Return the owner's index. vpc_id: the endpoint's, for rows()."""
        known = self._index.get(owner)
        if known is not None and (vpc_id is None or self._vpc.get(known) == vpc_id):
            return known
        index = known if known is not None else self._free()
        if index is None:
            self.overflowed += 1
            return 0
        if known is None:
            self._counts.put_shares(index, bytes(SpliceCount()))
            self._index[owner] = index
            self._vpc.pop(index, None)
        if vpc_id is not None:
            self._vpc[index] = vpc_id
        self._store()
        if self.on_new is not None:
            self.on_new((index, *owner, vpc_id))
        return index

    def rows(self) -> list[Row]:
        """Return who has which index."""
        return [(index, *owner, self._vpc.get(index)) for owner, index in self._index.items()]

    def of_upstreams(self, upstreams: Collection[str]) -> set[int]:
        """Return the indices that count for these upstreams, and 0, which may count for any."""
        return {0, *(index for (_, upstream, _), index in self._index.items() if upstream in upstreams)}

    def owner(self, index: int) -> Owner:
        return next((owner for owner, held in self._index.items() if held == index), NOBODY)

    def read(self) -> Iterator[tuple[Owner, Count]]:
        """Yield what each has counted, summed over the CPUs."""
        for owner, index in ((NOBODY, 0), *self._index.items()):
            shares = [SpliceCount.from_buffer_copy(raw) for raw in self._counts.shares(index)]
            yield (
                owner,
                Count(
                    sum(s.requests for s in shares),
                    (sum(s.bytes[0] for s in shares), sum(s.bytes[1] for s in shares)),
                    tuple(sum(s.statuses[n] for s in shares) for n in range(6)),
                    tuple(sum(s.latency[n] for s in shares) for n in range(LATENCY_BUCKETS)),
                    sum(s.latency_ns for s in shares) / 1e9,
                ),
            )

    def _free(self) -> int | None:
        last = self._counts.shape.max_entries - 1
        if len(self._index) < last:
            taken = set(self._index.values())
            return next(index for index in range(1, last + 1) if index not in taken)
        for owner, index in self._index.items():  # the oldest first
            if not self._in_use(index):
                del self._index[owner]
                return index
        return None

    def _stored(self) -> Iterator[tuple[int, Owner, str | None]]:
        try:
            rows = json.loads(self._path.read_text())
            for index, route, upstream, endpoint, *rest in rows:
                if isinstance(index, int) and 0 < index < self._counts.shape.max_entries:
                    vpc_id = str(rest[0]) if rest and rest[0] is not None else None
                    yield index, (str(route), str(upstream), str(endpoint)), vpc_id
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s: %s: spliced requests counted before are nobody's now", self._path, error)

    def _store(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self.rows()))
            fresh.replace(self._path)
        except OSError as error:
            log.warning("%s: %s: after a restart spliced requests are counted for nobody", self._path, error)
