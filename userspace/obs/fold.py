"""Sums over workers of the values that only grow."""

from typing import Any

from userspace.obs import durations
from userspace.obs.histogram import sums
from userspace.obs.http_series import OTHER
from userspace.obs.http_totals import HttpTotals

SeriesKey = tuple[str, str, str]  # route, upstream, endpoint
Row = list[Any]  # [{code: n}, bytes_in, bytes_out, histogram, histogram, histogram], see counters.py
MAX_SERIES = 20_000


class Sums:
    """Values of one worker (absolute) or of several. Past MAX_SERIES new keys count as OTHER."""

    __slots__ = ("decided", "errors", "http", "series", "sticky", "totals")

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.sticky: dict[str, int] = {}
        self.series: dict[SeriesKey, Row] = {}
        self.decided = durations.new()
        self.http = HttpTotals()

    def add(self, other: "Sums") -> None:
        """Add another's values to mine; never changes the other's rows."""
        for mine, theirs in (
            (self.totals, other.totals),
            (self.errors, other.errors),
            (self.sticky, other.sticky),
        ):
            for name, value in theirs.items():
                mine[name] = mine.get(name, 0) + value
        series = self.series
        for key, row in other.series.items():
            if key not in series and len(series) >= MAX_SERIES:
                key = (OTHER, OTHER, OTHER)
            known = series.get(key)
            series[key] = row if known is None else add_rows(known, row)
        self.decided = sums(self.decided, other.decided)
        self.http.add(other.http)


def add_rows(left: Row, right: Row) -> Row:
    """Return a new row, element by element the sum of two."""
    codes = dict(left[0])
    for code, count in right[0].items():
        codes[code] = codes.get(code, 0) + count
    return [codes, left[1] + right[1], left[2] + right[2], *map(sums, left[3:], right[3:])]
