import re
import uuid
from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import answered, filter_of
from userspace.plugins.filters.request_id import ksuid, uuid7


@pytest.mark.parametrize(
    ("conf", "form"),
    [
        ({}, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ({"algorithm": "nanoid"}, r"[-_0-9A-Za-z]{21}"),
        ({"algorithm": "range_id"}, r"[0-9A-Za-z]{16}"),
        ({"algorithm": "range_id", "range_id": {"char_set": "abcdef", "length": 20}}, r"[a-f]{20}"),
        ({"algorithm": "ksuid"}, r"[0-9A-Za-z]{27}"),
        ({"algorithm": "uuidv7"}, r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    ],
)
def test_a_request_without_a_number_gets_one_of_that_form_and_no_other_has_it(conf: dict[str, Any], form: str) -> None:
    numbered = filter_of("request-id", conf)
    values = set()
    for _ in range(50):
        one = request()
        assert numbered.rewrite(one) is None
        value = one.header(b"x-request-id")
        assert value is not None and re.fullmatch(form, value.decode())
        assert answered(numbered, one) == {"X-Request-Id": value.decode()}
        values.add(value)
    assert len(values) == 50


def test_a_number_that_the_client_or_the_endpoint_gives_stays() -> None:
    numbered = filter_of("request-id", {"header_name": "X-N"})
    one = request("GET", "/", "x-n: 7")
    numbered.rewrite(one)
    assert one.header_values(b"x-n") == [b"7"]
    assert answered(numbered, one) == {"X-N": "7"}
    assert answered(numbered, one, (b"x-n", b"9")) == {"x-n": "9"}


def test_the_client_is_not_told_unless_asked() -> None:
    numbered = filter_of("request-id", {"include_in_response": False})
    one = request()
    numbered.rewrite(one)
    assert answered(numbered, one) == {}


def test_two_of_them_with_different_names_do_not_mix() -> None:
    first, second = filter_of("request-id", {"header_name": "A"}), filter_of("request-id", {"header_name": "B"})
    one = request("GET", "/", "A: 1", "B: 2")
    first.rewrite(one)
    second.rewrite(one)
    assert (answered(first, one), answered(second, one)) == ({"A": "1"}, {"B": "2"})


def test_ksuid_and_uuid7_begin_with_the_time() -> None:
    # The example of segmentio/ksuid: 2017-10-10 04:00:47 UTC.
    noise = bytes.fromhex("B5A1CD34B5F99D1154FB6853345C9735")
    assert ksuid(1_507_608_047, noise) == "0ujtsYcgvSTl8PAuAdqWYSMnLOv"
    made = uuid.UUID(uuid7(1_645_557_742.0, bytes(10)))
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, 0x017F22E279B0)
