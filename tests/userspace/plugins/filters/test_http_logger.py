from typing import Any

import pytest

from tests.userspace.plugins.filters.loggers import jobs
from userspace.plugins.jobs import Attempts, HttpJob


@pytest.mark.parametrize(
    ("conf", "entries", "kind", "body"),
    [
        ({"batch_max_size": 1}, 1, b"application/json", b'{"u":"/a"}'),
        ({"batch_max_size": 1, "concat_method": "new_line"}, 1, b"application/json", b'{"u":"/a"}'),
        ({"batch_max_size": 2}, 2, b"application/json", b'[{"u":"/a"},{"u":"/a"}]'),
        ({"batch_max_size": 2, "concat_method": "new_line"}, 2, b"text/plain", b'{"u":"/a"}\n{"u":"/a"}'),
    ],
)
def test_entries_are_posted(conf: dict[str, Any], entries: int, kind: bytes, body: bytes) -> None:
    [job] = jobs("http-logger", {"uri": "http://log.test:81/in?k=1", "auth_header": "Basic x", **conf}, entries)
    assert isinstance(job, HttpJob)
    head, _, sent = job.data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /in?k=1 HTTP/1.1" and b"Host: log.test:81" in lines
    assert b"Content-Type: " + kind in lines and b"Authorization: Basic x" in lines
    assert b"Content-Length: %d" % len(body) in lines and sent == body
    assert (job.host, job.port, job.tls, job.timeout) == ("log.test", 81, False, 3.0)


def test_a_server_over_tls_and_more_than_one_try() -> None:
    [job] = jobs("http-logger", {"uri": "https://log.test", "max_retry_count": 2, "retry_delay": 3, "ssl_verify": True})
    assert isinstance(job, HttpJob)
    assert (job.port, job.tls, job.verify, job.attempts) == (443, True, True, Attempts(2, 3))
    assert job.data.startswith(b"POST / HTTP/1.1\r\n")
