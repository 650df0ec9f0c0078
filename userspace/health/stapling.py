"""Stapling: keeps an OCSP response for each ssl object that wants one, ahead of its end. No handshake waits for it."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException

from control.model.ssl import Ssl
from userspace.health.ocsp import MAX_BYTES, OcspError, Question, good_until, now_utc, question_about

FETCH_TIMEOUT = 10.0
RETRY_SECONDS = 60.0
LOOK_SECONDS = 5.0
MAX_AT_ONCE = 4

Fetch = Callable[[Question], Awaitable[bytes]]
Tell = Callable[[str, bytes], None]


@dataclass(slots=True)
class _Staple:
    site: Ssl
    due: datetime
    until: datetime | None = None  # while there is one


class Stapler:
    """`tell(id, response)`: b"" when there is none any more. `trouble(text)`: why one could not be had."""

    def __init__(
        self,
        tell: Tell,
        trouble: Callable[[str], None],
        fetch: Fetch | None = None,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._tell = tell
        self._trouble = trouble
        self._fetch = fetch or fetched
        self._clock = clock
        self._staples: dict[str, _Staple] = {}

    def set(self, sites: Mapping[str, Ssl]) -> None:
        """Keep responses for these and no others; a changed object's is fetched anew."""
        for id in [id for id, staple in self._staples.items() if sites.get(id) is not staple.site]:
            if self._staples.pop(id).until is not None:
                self._tell(id, b"")
        for id, site in sites.items():
            if id not in self._staples:
                self._staples[id] = _Staple(site, self._clock())

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Fetch what is due, a few at once, and withdraw what is out of date."""
        now = self._clock()
        for id, staple in self._staples.items():
            if staple.until is not None and staple.until <= now:
                staple.until = None
                self._tell(id, b"")
        due = [staple for staple in self._staples.values() if staple.due <= now]
        for at in range(0, len(due), MAX_AT_ONCE):
            await asyncio.gather(*map(self._renew, due[at : at + MAX_AT_ONCE]))

    async def _renew(self, staple: _Staple) -> None:
        site, now = staple.site, self._clock()
        stapling = site.stapling
        assert stapling is not None
        staple.due = now + timedelta(seconds=RETRY_SECONDS)
        try:
            question = question_about(site)
            answer = await self._fetch(question)
            until = good_until(question, answer, now, not stapling.skip_verify)
        except (OcspError, OSError, HTTPException) as error:
            self._trouble(f"OCSP of ssl {site.id}: {error or type(error).__name__}")
            return
        if self._staples.get(site.id) is staple:
            staple.until = until
            staple.due = min(now + timedelta(seconds=stapling.cache_ttl), now + (until - now) / 2)
            self._tell(site.id, answer)


async def fetched(question: Question) -> bytes:
    """Ask the responder, in a thread. Raises OSError, HTTPException, OcspError."""
    return await asyncio.to_thread(_fetch, question)


def _fetch(question: Question) -> bytes:
    headers = {"Content-Type": "application/ocsp-request"}
    request = urllib.request.Request(question.url, question.request, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    with opener.open(request, timeout=FETCH_TIMEOUT) as answer:
        data: bytes = answer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OcspError(f"an answer of more than {MAX_BYTES} bytes")
    return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The certificate names the place; no other is asked."""

    def redirect_request(self, *args: object) -> None:
        return None
