import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.model.sticky import Sticky
from userspace.http.events import Headers
from userspace.proxy.cookies import (
    change_cookie,
    change_set_cookie,
    cookie_set,
    insert_cookie,
    set_cookie,
    take_cookie,
    without_set_cookie,
)


@pytest.mark.parametrize(
    ("cookie", "value", "rest"),
    [
        (b"UNILB=x", b"x", None),
        (b"a=1; UNILB=x; b=2", b"x", b"a=1; b=2"),
        (b"UNILB=x; b=2", b"x", b"b=2"),
        (b"a=1; UNILB=x", b"x", b"a=1"),
        (b"a=1;UNILB=x;b=2", b"x", b"a=1;b=2"),
        (b'UNILB="x"', b"x", None),
        (b"UNILB=first; UNILB=second; c=3", b"first", b"c=3"),
        (b"UNILB=", b"", None),
        (b"XUNILB=x; UNILBX=y", None, b"XUNILB=x; UNILBX=y"),
        (b"unilb=x", None, b"unilb=x"),
        (b"UNILB", None, b"UNILB"),
        (b"a=UNILB=x", None, b"a=UNILB=x"),
    ],
)
def test_our_cookie_is_found_and_taken_out(cookie: bytes, value: bytes | None, rest: bytes | None) -> None:
    headers: Headers = [(b"Host", b"a"), (b"cOOkie", cookie), (b"Accept", b"*/*")]
    found, left = take_cookie(headers, b"UNILB")
    assert found == value
    expected = [(b"cOOkie", rest)] if rest is not None else []
    assert left == [(b"Host", b"a"), *expected, (b"Accept", b"*/*")]


def test_several_cookie_fields_are_all_searched() -> None:
    headers: Headers = [(b"Cookie", b"a=1"), (b"Cookie", b"UNILB=x"), (b"Cookie", b"UNILB=y; b=2")]
    assert take_cookie(headers, b"UNILB") == (b"x", [(b"Cookie", b"a=1"), (b"Cookie", b"b=2")])


def test_headers_without_our_cookie_come_back_as_they_are() -> None:
    headers: Headers = [(b"Cookie", b"a=1")]
    assert take_cookie(headers, b"UNILB")[1] is headers


def test_every_attribute_is_written() -> None:
    sticky = Sticky(cookie="C", path="/app", ttl=60, secure=True, http_only=True, same_site="None")
    assert set_cookie(sticky, b"C", b"t") == b"C=t; Path=/app; Max-Age=60; Secure; HttpOnly; SameSite=None"
    assert set_cookie(Sticky(http_only=False), b"UNILB", b"t") == b"UNILB=t; Path=/"
    assert set_cookie(Sticky(domain="a.b"), b"C", b"t") == b"C=t; Path=/; Domain=a.b; HttpOnly"


@pytest.mark.parametrize(("sent", "added"), [(b"public, max-age=5", True), (b"Private", False), (b"no-store", False)])
def test_a_shared_cache_is_told_once(sent: bytes, added: bool) -> None:
    headers = insert_cookie([(b"Cache-Control", sent)], Sticky(), b"UNILB", b"t")
    assert ((b"Cache-Control", b"private") in headers) is added


def test_a_cookie_of_the_request_is_changed_wherever_it_stands() -> None:
    headers: Headers = [(b"Cookie", b"a=1; S=x; SS=x"), (b"Host", b"h"), (b"cookie", b"S=y;b=2")]
    expected = [(b"Cookie", b"a=1; S=<x>; SS=x"), (b"Host", b"h"), (b"cookie", b"S=<y>;b=2")]
    assert change_cookie(headers, b"S", lambda value: b"<" + value + b">") == expected
    assert change_cookie(headers, b"T", lambda value: b"") is headers
    assert change_cookie(headers, b"S", lambda value: value) is headers


def test_a_cookie_that_the_endpoint_sets_is_changed_and_its_attributes_stay() -> None:
    headers: Headers = [
        (b"Set-Cookie", b"S=abc; Path=/x; Secure"),
        (b"set-cookie", b"T=abc"),
        (b"Set-Cookie", b"S="),
        (b"Other", b"S=abc"),
    ]
    found, changed = change_set_cookie(headers, b"S", lambda value: b"t~" + value)
    assert found and changed == [
        (b"Set-Cookie", b"S=t~abc; Path=/x; Secure"),
        (b"set-cookie", b"T=abc"),
        (b"Set-Cookie", b"S=t~"),
        (b"Other", b"S=abc"),
    ]
    assert change_set_cookie(headers, b"U", lambda value: b"") == (False, headers)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([], None),
        ([b"T=1"], None),
        ([b"S=1"], b"1"),
        ([b'S="1"; Path=/'], b"1"),
        ([b"S=1", b"S=2; HttpOnly"], b"2"),
        ([b"S=1; Max-Age=60"], b"1"),
        ([b"S=1; max-age=0"], b""),
        ([b"S=1; Max-Age = -5"], b""),
        ([b"S="], b""),
    ],
)
def test_what_the_endpoint_sets_a_cookie_to(fields: list[bytes], value: bytes | None) -> None:
    assert cookie_set([(b"Set-Cookie", field) for field in fields], b"S") == value


def test_a_cookie_of_the_endpoint_is_kept_back() -> None:
    headers: Headers = [(b"Set-Cookie", b"S=1"), (b"SET-COOKIE", b"S=2; Path=/"), (b"Set-Cookie", b"SS=3")]
    assert without_set_cookie(headers, b"S") == [(b"Set-Cookie", b"SS=3")]


@given(st.lists(st.lists(st.sampled_from([b"S", b"=", b";", b" ", b'"', b"~", b"x", b"\xff", b"S=x"])).map(b"".join)))
def test_whatever_a_client_sends_only_cookies_of_that_name_are_touched(values: list[bytes]) -> None:
    headers: Headers = [(b"Cookie", value) for value in values]

    def named(among: Headers) -> list[bytes]:
        pairs = [pair for _, value in among for pair in value.split(b";")]
        return [pair for pair in pairs if b"=" in pair and pair.partition(b"=")[0].strip(b" \t") == b"S"]

    def others(among: Headers) -> list[bytes]:
        pairs = [pair.strip(b" \t") for _, value in among for pair in value.split(b";")]
        return [pair for pair in pairs if pair and pair.partition(b"=")[0].strip(b" \t") != b"S"]

    found, left = take_cookie(headers, b"S")
    assert (found is None) == (not named(headers)) and named(left) == [] and others(left) == others(headers)
    changed = change_cookie(headers, b"S", lambda value: b"y")
    assert len(named(changed)) == len(named(headers)) and others(changed) == others(headers)
    assert all(pair.partition(b"=")[2] == b"y" for pair in named(changed))
