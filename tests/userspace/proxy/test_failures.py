import errno
import socket

import pytest

from userspace.errors import LbError
from userspace.proxy import failures
from userspace.proxy.failures import connect_failure, is_stale, may_retry, status_of, text_of


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ConnectionRefusedError(), "connect_refused", 502),
        (TimeoutError(), "connect_timeout", 504),
        (OSError(errno.EHOSTUNREACH, ""), "connect_unreachable", 502),
        (OSError(errno.ENETUNREACH, ""), "connect_unreachable", 502),
        (OSError(errno.EMFILE, ""), "no_descriptor", 503),
        (OSError(errno.EADDRNOTAVAIL, ""), "no_descriptor", 503),
        (socket.gaierror(-2, ""), "resolve_failed", 503),
        (OSError(errno.EIO, ""), "connect_failed", 502),
    ],
)
def test_each_failure_to_connect_has_its_word_and_status(error: OSError, kind: str, status: int) -> None:
    failure = connect_failure(error)
    assert (failure.kind, status_of(failure)) == (kind, status)
    assert text_of(status).startswith(str(status))


# error, sent, idempotent -> another try
RULES = [
    (failures.CONNECT_TIMEOUT, False, False, True),
    (failures.CONNECT_TIMEOUT, True, False, False),
    (failures.CONNECT_TIMEOUT, True, True, True),
    (failures.ENDPOINT_FULL, False, False, True),
    (failures.RESET, True, True, True),
    (failures.RESET, True, False, False),
    (failures.CLOSED, True, True, True),
    (failures.CLOSED, True, False, False),
    (failures.READ_TIMEOUT, True, True, True),
    (failures.READ_TIMEOUT, True, False, False),
    (failures.SEND_TIMEOUT, True, True, True),
    (failures.SEND_TIMEOUT, True, False, False),
    (failures.TRUNCATED, True, True, True),
    (failures.TRUNCATED, True, False, False),
    (failures.bad_response("x"), True, True, False),
    (failures.NO_ENDPOINT, False, True, False),
    (failures.TOO_MANY_REQUESTS, False, True, False),
    (failures.TOO_MANY_PENDING, False, True, False),
]


@pytest.mark.parametrize(("error", "sent", "idempotent", "expected"), RULES)
def test_another_try_is_allowed_exactly_when_nothing_can_happen_twice(
    error: LbError, sent: bool, idempotent: bool, expected: bool
) -> None:
    assert may_retry(error, sent, idempotent) is expected


def test_only_a_kept_connection_that_is_gone_is_stale() -> None:
    assert [is_stale(failures.RESET, True), is_stale(failures.CLOSED, True)] == [True, True]
    assert not any(
        is_stale(error, True) for error in (failures.READ_TIMEOUT, failures.TRUNCATED, failures.SEND_TIMEOUT)
    )
    assert not is_stale(failures.RESET, False)
