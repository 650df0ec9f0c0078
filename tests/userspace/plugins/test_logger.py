"""When entries are sent, what stands in them, and what happens when too many wait."""

from typing import Any

import orjson

from tests.requests import request
from tests.userspace.plugins.outbox import Kept
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.jobs import StreamJob
from userspace.plugins.logger import Logger
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary

SUMMARY = Summary(200, 1000.0, 12.0, 10.0, 100, 200, "10.0.0.1:80", 200, None, False)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def logger(env: Env, **conf: Any) -> Logger:
    conf = {"host": "127.0.0.1", "port": 1, **conf}
    filter = build_chain({"tcp-logger": conf}, env).steps[0].filter
    assert isinstance(filter, Logger)
    return filter


def log(filter: Logger, target: str = "/", body: bytes | None = None, answer: bytes = b"") -> None:
    one, response = request(target=target), Response(200, [], False)
    one.body = body
    filter.header_filter(one, response)
    for observer in response.observers:
        observer(answer)
    filter.log(one, SUMMARY)


def sent(outbox: Kept) -> list[Any]:
    jobs = [job for job in outbox.jobs if isinstance(job, StreamJob)]
    outbox.jobs.clear()
    return [orjson.loads(job.data) for job in jobs]


def test_a_full_batch_is_sent_at_once() -> None:
    outbox = Kept()
    filter = logger(Env(outbox=outbox), batch_max_size=2)
    log(filter)
    assert sent(outbox) == []
    log(filter)
    [entries] = sent(outbox)
    assert len(entries) == 2 and outbox.waiting == []


def test_what_gathered_is_sent_when_nobody_comes_or_the_first_has_waited_long_enough() -> None:
    outbox, clock = Kept(), Clock()
    filter = logger(Env(outbox=outbox, clock=clock), inactive_timeout=5, buffer_duration=8)
    log(filter)
    clock.now += 4
    log(filter)
    clock.now += 1
    assert outbox.fire() == 5 and sent(outbox) == []
    clock.now += 3
    assert outbox.fire() == 3
    assert [len(entries) for entries in sent(outbox)] == [2]


def test_what_gathered_is_sent_when_the_filter_or_all_ends() -> None:
    outbox = Kept()
    filter = logger(Env(outbox=outbox))
    log(filter)
    filter.close()
    log(filter)
    outbox.is_closing = True
    outbox.fire()
    assert len(sent(outbox)) == 2


def test_beyond_the_limit_entries_are_dropped_and_counted() -> None:
    outbox = Kept()
    filter = logger(Env(outbox=outbox, metadata=lambda plugin: {"max_pending_entries": 2}))
    for _ in range(5):
        log(filter)
    assert outbox.dropped == 3


def test_bodies_are_logged_when_asked_and_their_conditions_hold() -> None:
    outbox = Kept()
    conf = {"include_req_body": True, "include_resp_body": True, "batch_max_size": 1, "max_resp_body_bytes": 3}
    filter = logger(Env(outbox=outbox), **conf, max_req_body_bytes=4)
    assert filter.keeps_body == 4
    log(filter, body=b"abcdef", answer=b"12345")
    [entry] = sent(outbox)
    assert (entry["request"]["body"], entry["response"]["body"]) == ("abcd", "123")
    held = logger(Env(outbox=outbox), **conf, include_req_body_expr=[["arg_a", "==", "1"]])
    log(held, body=b"abc")
    log(held, "/?a=1", body=b"abc")
    assert ["body" in entry["request"] for entry in sent(outbox)] == [False, True]
    plain = logger(Env(outbox=outbox), batch_max_size=1)
    assert plain.keeps_body == 0
    log(plain, body=b"abc", answer=b"x")
    [entry] = sent(outbox)
    assert "body" not in entry["request"] and "body" not in entry["response"]


def test_a_format_of_its_own_goes_before_the_metadatas_and_more_fields_join_the_default() -> None:
    outbox = Kept()
    said = {"log_format": {"from": "metadata"}}
    log(logger(Env(outbox=outbox, metadata=lambda plugin: said), batch_max_size=1))
    log(logger(Env(outbox=outbox, metadata=lambda plugin: said), batch_max_size=1, log_format={"from": "$uri"}))
    log(logger(Env(outbox=outbox), batch_max_size=1, log_format_extra={"more": "$uri"}), "/x")
    first, second, third = sent(outbox)
    assert (first, second) == ({"from": "metadata"}, {"from": "/"})
    assert third["more"] == "/x" and third["request"]["uri"] == "/x"


def test_how_many_wait_is_shown_until_they_are_sent() -> None:
    told: list[tuple[tuple[str, ...], int]] = []

    class Meter:
        def count(self, *what: Any) -> None:
            raise AssertionError

        def waiting(self, labels: tuple[str, ...], entries: int) -> None:
            told.append((labels, entries))

    filter = logger(Env(outbox=Kept(), meter=Meter()), batch_max_size=2)
    log(filter)
    log(filter)
    labels = ("tcp logger", "", "127.0.0.1")
    assert told == [(labels, 1), (labels, 2), (labels, 0)]
    filter.flush()
    assert len(told) == 3
