import errno
import socket

import pytest

from userspace.errors import LbError
from userspace.proxy import failures
from userspace.proxy.failures import connect_failure, may_retry, status_of, text_of


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ConnectionRefusedError(), "connect_refused", 502),
        (TimeoutError(), "connect_timeout", 504),
        (OSError(errno.EHOSTUNREACH, ""), "connect_unreachable", 502),
        (OSError(errno.ENETUNREACH, ""), "connect_unreachable", 502),
        (OSError(errno.EMFILE, ""), "no_descriptor", 503),
        (OSError(errno.EADDRNOTAVAIL, ""), "no_descriptor", 503),
        (socket.gaierror(-2, ""), "resolve_failed", 502),
        (OSError(errno.EIO, ""), "connect_failed", 502),
    ],
)
def test_each_failure_to_connect_has_its_word_and_status(error: OSError, kind: str, status: int) -> None:
    failure = connect_failure(error)
    assert (failure.kind, status_of(failure)) == (kind, status)
    assert text_of(status).startswith(str(status))


# error, sent, idempotent, reused -> another try
RULES = [
    (failures.CONNECT_TIMEOUT, False, False, False, True),
    (failures.CONNECT_TIMEOUT, True, False, False, False),
    (failures.CONNECT_TIMEOUT, True, True, False, True),
    (failures.ENDPOINT_FULL, False, False, False, True),
    (failures.RESET, True, True, True, True),
    (failures.RESET, True, True, False, False),
    (failures.RESET, True, False, True, False),
    (failures.CLOSED, True, True, True, True),
    (failures.CLOSED, True, False, True, False),
    (failures.READ_TIMEOUT, True, True, True, False),
    (failures.SEND_TIMEOUT, True, True, True, False),
    (failures.TRUNCATED, True, True, True, False),
    (failures.bad_response("x"), True, True, True, False),
    (failures.NO_ENDPOINT, False, True, False, False),
]


@pytest.mark.parametrize(("error", "sent", "idempotent", "reused", "expected"), RULES)
def test_another_try_is_allowed_exactly_when_nothing_can_happen_twice(
    error: LbError, sent: bool, idempotent: bool, reused: bool, expected: bool
) -> None:
    assert may_retry(error, sent, idempotent, reused) is expected
