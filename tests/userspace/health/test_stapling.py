import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from control.model.ssl import Ssl
from tests.userspace.health.responder import HOUR, NOW, answer, site
from userspace.health.ocsp import MAX_BYTES, OcspError, Question, question_about
from userspace.health.stapling import RETRY_SECONDS, Stapler, fetched


class Story:
    """A Stapler with a clock and a responder of its own."""

    def __init__(self) -> None:
        self.now = NOW
        self.told: list[tuple[str, bytes]] = []
        self.troubles: list[str] = []
        self.asked = 0
        self.reply: bytes | Exception = b""
        self.stapler = Stapler(self.tell, self.troubles.append, self.fetch, self.clock)

    def tell(self, id: str, response: bytes) -> None:
        self.told.append((id, response))

    def clock(self) -> datetime:
        return self.now

    async def fetch(self, question: Question) -> bytes:
        self.asked += 1
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def after(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await self.stapler.look()


async def test_a_response_is_told_and_renewed_ahead_of_its_end() -> None:
    story, about = Story(), site(cache_ttl=600)
    story.reply = answer(about)
    story.stapler.set({"s1": about})
    await story.after(0)
    assert story.told == [("s1", story.reply)]
    await story.after(599)
    assert story.asked == 1
    await story.after(1)
    assert story.asked == 2
    late = site(cache_ttl=86400)
    story.reply = answer(late)
    story.stapler.set({"s1": late})
    await story.after(0)
    await story.after((NOW + HOUR - story.now).total_seconds() / 2 + 1)  # half of its life, though the ttl is longer
    assert story.asked == 4


async def test_a_responder_that_fails_is_asked_again_and_what_is_there_stays_until_its_end() -> None:
    story, about = Story(), site()
    story.reply = answer(about)
    story.stapler.set({"s1": about})
    await story.after(0)
    story.reply = TimeoutError("timed out")
    await story.after(1801)
    await story.after(RETRY_SECONDS)
    assert story.asked == 3 and len(story.told) == 1
    assert story.troubles == ["OCSP of ssl s1: timed out"] * 2
    await story.after(HOUR.total_seconds())
    assert story.told[1:] == [("s1", b"")]


async def test_one_that_is_revoked_is_not_told() -> None:
    story, about = Story(), site()
    story.reply = answer(site(id="other"))
    story.stapler.set({"s1": about})
    await story.after(0)
    assert story.told == [] and story.troubles == ["OCSP of ssl s1: the answer is about another certificate"]


async def test_what_is_wanted_no_more_is_withdrawn_and_a_changed_object_is_asked_about_anew() -> None:
    story, about = Story(), site()
    story.reply = answer(about)
    story.stapler.set({"s1": about})
    await story.after(0)
    story.stapler.set({})
    assert story.told[-1] == ("s1", b"")
    story.stapler.set({"s1": about})
    await story.after(0)
    assert story.told[-1] == ("s1", story.reply) and story.asked == 2


async def test_an_object_that_goes_while_its_answer_is_awaited_gets_none() -> None:
    story, about = Story(), site()
    story.reply = answer(about)
    fetch = story.fetch

    async def slow(question: Question) -> bytes:
        story.stapler.set({})
        return await fetch(question)

    story.stapler = Stapler(story.tell, story.troubles.append, slow, story.clock)
    story.stapler.set({"s1": about})
    await story.after(0)
    assert story.told == []


# Over HTTP.


@contextmanager
def responder(status: int, body: bytes | list[bytes], *headers: tuple[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/ocsp-request"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for header in headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else body[0])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ocsp"


def asked(url: str) -> tuple[Ssl, Question]:
    about = site(url)
    return about, question_about(about)


async def test_the_responder_is_asked_by_post() -> None:
    with responder(200, b"an answer") as url:
        assert await fetched(asked(url)[1]) == b"an answer"


async def test_an_answer_has_a_limit() -> None:
    with responder(200, bytes(MAX_BYTES + 1)) as url, pytest.raises(OcspError, match="more than"):
        await fetched(asked(url)[1])


@pytest.mark.parametrize("status", [302, 500])
async def test_errors_and_redirections_are_failures(status: int) -> None:
    elsewhere = ("Location", "http://127.0.0.1:1/")
    with responder(status, b"", elsewhere) as url, pytest.raises(OSError, match=str(status)):
        await fetched(asked(url)[1])
