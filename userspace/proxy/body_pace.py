"""BodyPace: how long a client may take for its request's body, by how much of it comes (slow requests, "slowloris")."""


class BodyPace:
    """An account of time, in ticks: full at first, `most` of them; waiting for the client spends it, what comes of the
    body earns a second per `rate` bytes, up to full again. While nobody waits for the client nothing is spent.
    """

    __slots__ = ("_credit", "_heard_at", "_most", "_per_byte", "_seen", "_since")

    def __init__(self, most: int, rate: int, ticks_per_second: float) -> None:
        self._most = most
        self._per_byte = ticks_per_second / rate
        self._credit = float(most)
        self._since: int | None = None  # waiting, since this tick
        self._seen = 0
        self._heard_at = 0

    def wait(self, now: int, size: int) -> int:
        """Begin to wait, or go on, with so many bytes of the body there; return in how many ticks it has been too
        long."""
        if self._since is not None:
            self._credit -= now - self._since
        else:
            self._heard_at = now
        self._since = now
        if size != self._seen:
            self._credit = min(self._most, max(0.0, self._credit) + (size - self._seen) * self._per_byte)
            self._seen = size
            self._heard_at = now
        return max(1, int(self._credit) + 1)

    def hold(self, now: int) -> None:
        """The client is not waited for."""
        if self._since is not None:
            self._credit -= now - self._since
            self._since = None

    def is_silent(self, now: int) -> bool:
        """True when nothing came for all of that time; else what came was too little."""
        return now - self._heard_at >= self._most
