import pytest

from control.model.sticky import Sticky
from userspace.http.events import Headers
from userspace.proxy.cookies import insert_cookie, set_cookie, take_cookie


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
    assert set_cookie(sticky, b"t") == b"C=t; Path=/app; Max-Age=60; Secure; HttpOnly; SameSite=None"
    assert set_cookie(Sticky(http_only=False), b"t") == b"UNILB=t; Path=/"


@pytest.mark.parametrize(("sent", "added"), [(b"public, max-age=5", True), (b"Private", False), (b"no-store", False)])
def test_a_shared_cache_is_told_once(sent: bytes, added: bool) -> None:
    headers = insert_cookie([(b"Cache-Control", sent)], Sticky(), b"t")
    assert ((b"Cache-Control", b"private") in headers) is added
