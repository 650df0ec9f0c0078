"""What one worker counts, as plain ints: no lock, no label formatting, no I/O on the request path.

A `Series` belongs to one (route, upstream, endpoint). `Counters.report()` gives the body of the message to the node:
absolute values, but only of series touched since the last report, so an idle worker with 10,000 series sends little.

Shape of a report (all ints unless said otherwise):
    {"totals": {name: n}, "gauges": {name: n}, "errors": {"source kind": n}, "sticky": {state: n},
     "series": [[route, upstream, endpoint, {code: n}, bytes_in, bytes_out, request, upstream, own], ...],
     "decided": waits, "http": what HttpSeries reports}
where request, upstream and own are latency histograms (histogram.py), waits one of durations.py.
"""

from bisect import bisect_left

from userspace.obs import durations
from userspace.obs.histogram import LATENCY_MS
from userspace.obs.histogram import SUM as _SUM
from userspace.obs.http_series import NEVER, OTHER, Expiry, HttpSeries

NO_ROUTE = ""

Report = dict[str, object]

TOTALS = (
    "requests",  # every exchange, also those answered before a route was found
    "accepted",  # client connections
    "refused",  # client connections answered 503 and closed at once, beyond max_connections
    "refused_client",  # likewise, beyond max_connections_per_client
    "streams",  # TCP connections carried as they are
    "tls_handshakes",  # those that succeeded; failures are errors "client tls_..."
    "tls_resumed",  # of those, by a ticket
    "retries",
    "retries_denied",  # tries that the retry budget did not allow
    "tunnels",  # upgraded connections and those of CONNECT
    "upstream_connects",
    "upstream_reuses",
    "log_lines",
    "log_dropped",
    "observations_dropped",  # outcomes of exchanges that passive checks were not told of
    "outbox_delivered",  # log entries and mirrored requests that arrived
    "outbox_failed",  # that did not, at the last try
    "outbox_dropped",  # for want of room
    "redis_asked",  # questions about counts that all gateways share
    "redis_failed",  # that Redis did not answer
    "redis_refused",  # that it was not asked: too many waited, or it had just failed
    "tally_evicted",  # keys of limits that made room for others: their limits began anew
    "compression_declined",  # answers that went uncompressed for want of memory
    "splices_asked",  # connections that the node was asked to splice
    "splices_guarded",  # that it did, with requests to come
    "splices_opaque",  # likewise, tunnels and streams
    "splices_refused",  # that it did not
    "splices_unanswered",  # the node was gone or too slow
    "splices_back",  # that came back with a request to be decided
    "series_overflow",  # exchanges counted under OTHER because MAX_SERIES was reached
)
GAUGES = (
    "active",
    "reading",
    "writing",
    "waiting",
    "tunnels",
    "upstream_active",
    "upstream_idle",
    "outbox_pending",
    "redis_waiting",
    "revision",
    "rejected_objects",
    "panics",
)


class Series:
    """Counts of one (route, upstream, endpoint). `codes` maps the status to its count."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "codes",
        "endpoint",
        "own",
        "request",
        "route",
        "touched",
        "upstream",
        "waited",
    )

    def __init__(self, route: str, upstream: str, endpoint: str) -> None:
        self.route = route
        self.upstream = upstream
        self.endpoint = endpoint
        self.codes: dict[int, int] = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.request: list[float] = [0] * (_SUM + 1)
        self.waited: list[float] = [0] * (_SUM + 1)
        self.own: list[float] = [0] * (_SUM + 1)
        self.touched = False


class Counters:
    """All counts of one worker. Gauges are written by their owners just before a report. `decided`: how long it took
    from what a spliced connection came back for until that was decided. `http`: what plugin prometheus counts besides.
    """

    __slots__ = ("_series", "_touched", "decided", "errors", "gauges", "http", "max_series", "sticky", "totals")

    def __init__(self, max_series: int = 10_000) -> None:
        self.totals: dict[str, int] = dict.fromkeys(TOTALS, 0)
        self.gauges: dict[str, int] = dict.fromkeys(GAUGES, 0)
        self.errors: dict[str, int] = {}
        self.sticky: dict[str, int] = {}
        self.decided: durations.Durations = durations.new()
        self.max_series = max_series
        self._series: dict[tuple[str, str, str], Series] = {}
        self._touched: list[Series] = []
        self.http = HttpSeries(self._overflow, max_series)

    def series(self, route: str, upstream: str, endpoint: str) -> Series:
        """Return the series of these labels; past max_series the shared one whose labels are all OTHER."""
        key = (route, upstream, endpoint)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= self.max_series:
                self._overflow()
                key = (OTHER, OTHER, OTHER)
                found = self._series.get(key)
                if found is not None:
                    return found
            found = self._series[key] = Series(*key)
        return found

    def exchange(
        self, series: Series, status: int, bytes_in: int, bytes_out: int, request_ms: float, upstream_ms: float
    ) -> None:
        """Count one finished exchange. Bytes are those of the client side, head and body; times are ms."""
        codes = series.codes
        codes[status] = codes.get(status, 0) + 1
        series.bytes_in += bytes_in
        series.bytes_out += bytes_out
        own_ms = request_ms - upstream_ms
        histogram = series.request
        histogram[bisect_left(LATENCY_MS, request_ms)] += 1
        histogram[_SUM] += request_ms
        histogram = series.waited
        histogram[bisect_left(LATENCY_MS, upstream_ms)] += 1
        histogram[_SUM] += upstream_ms
        histogram = series.own
        histogram[bisect_left(LATENCY_MS, own_ms)] += 1
        histogram[_SUM] += own_ms
        self.totals["requests"] += 1
        if not series.touched:
            series.touched = True
            self._touched.append(series)

    def error(self, source: str, kind: str) -> None:
        """Count one failure. Both words come from our own code, so their number is bounded."""
        key = f"{source} {kind}"
        self.errors[key] = self.errors.get(key, 0) + 1

    def report(self, now: float = 0.0, expiry: Expiry = NEVER) -> Report:
        """Return the message body described above and forget which series were touched. `expiry`: of those of the
        plugin."""
        touched, self._touched = self._touched, []
        rows: list[list[object]] = []
        for series in touched:
            series.touched = False
            codes = {str(code): count for code, count in series.codes.items()}
            rows.append(
                [series.route, series.upstream, series.endpoint, codes, series.bytes_in, series.bytes_out]
                + [series.request, series.waited, series.own]
            )
        return {
            "totals": self.totals,
            "gauges": self.gauges,
            "errors": self.errors,
            "sticky": self.sticky,
            "series": rows,
            "decided": self.decided,
            "http": self.http.report(now, expiry),
        }

    def _overflow(self) -> None:
        self.totals["series_overflow"] += 1
