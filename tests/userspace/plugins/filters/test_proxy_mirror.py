from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.loggers import SUMMARY
from tests.userspace.plugins.outbox import Kept
from userspace.http.request import Request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.proxy_mirror import MAX_BODY_BYTES, ProxyMirror
from userspace.plugins.jobs import HttpJob


def mirrored(one: Request, draw: float = 0.5, **conf: Any) -> tuple[list[Any], Kept]:
    outbox = Kept()
    filter = build_chain({"proxy-mirror": {"host": "http://m.test:81", **conf}}, Env(outbox=outbox, draw=lambda: draw))
    mirror = filter.steps[0].filter
    mirror.before_proxy(one)
    mirror.log(one, SUMMARY)
    return list(outbox.jobs), outbox


def test_the_copy_has_the_fields_and_the_body_of_the_request() -> None:
    one = request("POST", "/a?b=1", "X-Key: k", "Connection: close", "Content-Length: 3")
    one.body = b"abc"
    [job], _ = mirrored(one)
    assert isinstance(job, HttpJob) and (job.host, job.port, job.any_status) == ("m.test", 81, True)
    head, _, body = job.data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /a?b=1 HTTP/1.1", b"Host: any.example"] and body == b"abc"
    assert b"X-Key: k" in lines and lines.count(b"Connection: close") == 1 and lines.count(b"Content-Length: 3") == 1


@pytest.mark.parametrize(
    ("conf", "target"),
    [
        ({"path": "/m"}, b"/m?b=1"),
        ({"path": "/m", "path_concat_mode": "prefix"}, b"/m/a?b=1"),
        ({}, b"/a?b=1"),
    ],
)
def test_its_path_may_be_another(conf: dict[str, str], target: bytes) -> None:
    [job], _ = mirrored(request(target="/a?b=1"), **conf)
    assert job.data.split(b" ")[1] == target


def test_a_share_of_the_requests_is_mirrored() -> None:
    assert len(mirrored(request(), 0.29, sample_ratio=0.3)[0]) == 1
    assert len(mirrored(request(), 0.31, sample_ratio=0.3)[0]) == 0


def test_a_long_body_is_not_mirrored_but_counted() -> None:
    one = request("POST")
    one.body = bytes(MAX_BODY_BYTES + 1)
    jobs, outbox = mirrored(one)
    assert jobs == [] and outbox.dropped == 1


def test_grpc_is_refused_by_name() -> None:
    assert ProxyMirror.unserved({"host": "grpc://h:1"}) == 'property "host": "grpc://h:1" not served by unilb'
    assert ProxyMirror.unserved({"host": "http://h:1"}) is None
