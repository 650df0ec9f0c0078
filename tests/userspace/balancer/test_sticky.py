import base64
import hashlib
import hmac

from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint
from userspace.balancer.sticky import NO_TOKENS, StickyTable, token

OLD, NEW, NEXT = (bytes([byte]) * 32 for byte in (1, 2, 3))
WEB = (Endpoint("10.0.0.1", 80, 1), Endpoint("10.0.0.2", 80, 0), Endpoint("fd00::1", 8080, 1))


def test_a_token_is_the_documented_function_of_key_upstream_and_address() -> None:
    tag = hmac.new(NEW, b"u1\x0010.0.0.1:80", hashlib.sha256).digest()[:16]
    assert token(NEW, "u1", "10.0.0.1:80") == base64.urlsafe_b64encode(tag)[:22]
    assert token(bytes(range(32)), "web", "10.0.0.1:8080") == b"O2baOOBNmnYZ9W__rtA_zQ"  # by openssl dgst


def test_each_endpoint_even_a_drained_one_is_found_by_its_token() -> None:
    table = StickyTable("u1", WEB, StickyKeys(NEW))
    tokens = [table.token_of(endpoint) for endpoint in WEB]
    assert [table.endpoint_of(token) for token in tokens if token is not None] == list(WEB)
    assert len(set(tokens)) == 3


def test_two_gateways_agree_whatever_the_order_of_endpoints() -> None:
    here, there = StickyTable("u1", WEB, StickyKeys(NEW)), StickyTable("u1", WEB[::-1], StickyKeys(NEW))
    assert [here.token_of(endpoint) for endpoint in WEB] == [there.token_of(endpoint) for endpoint in WEB]


def test_forged_and_foreign_tokens_name_nobody() -> None:
    table = StickyTable("u1", WEB, StickyKeys(NEW))
    right = token(NEW, "u1", "10.0.0.1:80")
    assert table.endpoint_of(right) == WEB[0]
    for wrong in (
        token(NEW, "u2", "10.0.0.1:80"),
        token(NEXT, "u1", "10.0.0.1:80"),
        token(NEW, "u1", "10.0.0.9:80"),
        b"10.0.0.1:80",
        right + b"=",
        right[:-1],
        right.swapcase(),
        b"",
        b"\xff" * 22,
    ):
        assert table.endpoint_of(wrong) is None
    assert b"10.0" not in right


def test_the_boundary_between_upstream_and_address_cannot_be_moved() -> None:
    assert token(NEW, "a", "b:80") != token(NEW, "ab", ":80")


def test_a_rotated_key_is_honoured_and_its_tokens_renewed_until_it_is_dropped() -> None:
    before = StickyTable("u1", WEB, StickyKeys(OLD)).token_of(WEB[0])
    during = StickyTable("u1", WEB, StickyKeys(NEW, OLD))
    assert before is not None
    assert during.endpoint_of(before) == WEB[0]
    renewed = during.token_of(WEB[0])
    assert renewed is not None and renewed != before
    after = StickyTable("u1", WEB, StickyKeys(NEXT, NEW))
    assert after.endpoint_of(before) is None
    assert after.endpoint_of(renewed) == WEB[0]


def test_without_keys_nothing_sticks() -> None:
    assert StickyTable("u1", WEB, None).token_of(WEB[0]) is None
    assert NO_TOKENS.endpoint_of(token(NEW, "u1", "10.0.0.1:80")) is None


def test_an_address_that_is_its_own_last_resort_is_meant_where_it_stands_highest() -> None:
    twice = (Endpoint("10.0.0.1", 80, 1, 0), Endpoint("10.0.0.1", 80, 1, 5), Endpoint("10.0.0.1", 80, 1, -5))
    table = StickyTable("u1", twice, StickyKeys(NEW))
    assert {table.token_of(endpoint) for endpoint in twice} == {token(NEW, "u1", "10.0.0.1:80")}
    assert table.endpoint_of(token(NEW, "u1", "10.0.0.1:80")) is twice[1]
