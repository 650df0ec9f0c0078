from typing import Any

import pytest

from tests.requests import request
from userspace.plugins.limit import Amount, Key, refusal, scope


@pytest.mark.parametrize(
    ("key", "kind", "found"),
    [
        ("remote_addr", "var", request().remote_addr),
        ("arg_a", "var", "1"),
        ("arg_none", "var", None),
        ("$arg_a-$arg_none", "var_combination", "1-"),
        ("$arg_none", "var_combination", None),
        ("${arg_none ?? x}", "var_combination", "x"),
        ("remote_addr", "constant", "remote_addr"),
    ],
)
def test_requests_are_counted_by_a_key_and_without_one_by_their_address(key: str, kind: str, found: str | None) -> None:
    one = request(target="/?a=1")
    assert Key(key, kind).found(one) == found
    assert Key(key, kind).of(one) == (found or one.remote_addr)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((5, 5), ("7", 7), ("0x10", 16), ("1_0", None), ("$arg_n", 3), ("${arg_none ?? 2}", 2)),
        *(("$arg_none", None), ("nan", None), ("inf", None), ("1e999", None)),
    ],
)
def test_an_amount_is_a_number_or_what_variables_make(value: Any, number: float | None) -> None:
    assert Amount(value).of(request(target="/?n=3")) == number


def test_counts_stand_under_the_object_and_what_the_configuration_says() -> None:
    first = scope({"count": 1, "_meta": {"parent": "/routes/1"}})
    assert first == scope({"count": 1, "_meta": {"parent": "/routes/1", "priority": 5}})
    assert first != scope({"count": 2, "_meta": {"parent": "/routes/1"}})
    assert first != scope({"count": 1, "_meta": {"parent": "/routes/2"}})
    assert first == scope({"count": 1, "_meta": {"parent": "/routes/1"}, "redis_host": "a", "sentinel_password": "b"})


def test_a_refusal_says_what_is_configured() -> None:
    assert (refusal({}).status, refusal({"rejected_code": 429}).status) == (503, 429)
    assert refusal({"rejected_msg": "no"}).body == b'{"error_msg":"no"}\n'
