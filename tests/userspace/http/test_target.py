import pytest

from tests.userspace.http.conversations import request
from userspace.http.events import ProtocolError
from userspace.http.target import normalise_path, origin_form, parse_authority, split_target


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"/", "/"),
        (b"/a/b", "/a/b"),
        (b"/a/b/", "/a/b/"),
        (b"//", "/"),
        (b"//a///b//", "/a/b/"),
        (b"/.", "/"),
        (b"/./", "/"),
        (b"/a/.", "/a/"),
        (b"/a/./b", "/a/b"),
        (b"/a/..", "/"),
        (b"/a/../", "/"),
        (b"/a/b/..", "/a/"),
        (b"/a/b/../c", "/a/c"),
        (b"/a/b/../../c", "/c"),
        (b"/a//../b", "/b"),
        (b"/.a", "/.a"),
        (b"/..a", "/..a"),
        (b"/a..", "/a.."),
        (b"/...", "/..."),
        (b"/%41", "/A"),
        (b"/%2e%2E/", None),
        (b"/a/%2e%2e/b", "/b"),
        (b"/a%2Fb", "/a/b"),
        (b"/a%2f%2Fb", "/a/b"),
        (b"/a/..%2fb", "/b"),
        (b"/%25%34%31", "/%41"),
        (b"/%C3%A9", "/é"),
        (b"/%ff", "/\udcff"),
        (b"/a%20b%3Fc%23d", "/a b?c#d"),
        (b"/a;b=c,d", "/a;b=c,d"),
        (b"/a\\..\\b", "/a\\..\\b"),
        (b"/%0d%0a", "/\r\n"),
    ],
)
def test_a_path_is_normalised_as_nginx_does(sent: bytes, seen: str | None) -> None:
    if seen is None:
        with pytest.raises(ProtocolError, match="root"):
            normalise_path(sent)
    else:
        assert normalise_path(sent) == seen


def test_what_is_normalised_stays_so() -> None:
    for path in ("/", "/a/b/", "/.a/b..", "/a;b"):
        assert normalise_path(path.encode()) == path


@pytest.mark.parametrize(
    ("method", "target", "parts"),
    [
        ("GET", b"/a?b?c", ("/a", b"b?c", None)),
        ("GET", b"/?", ("/", b"", None)),
        ("GET", b"/a?x=/../%zz", ("/a", b"x=/../%zz", None)),
        ("OPTIONS", b"*", ("*", b"", None)),
        ("GET", b"http://h:1/a//b?c", ("/a/b", b"c", b"h:1")),
        ("GET", b"HTTPS://h", ("/", b"", b"h")),
        ("GET", b"http://h?q", ("/", b"q", b"h")),
        ("OPTIONS", b"http://h", ("*", b"", b"h")),
        ("GET", b"http://u@h/", ("/", b"", b"u@h")),
    ],
)
def test_every_form_of_target_is_split(method: str, target: bytes, parts: tuple[str, bytes, bytes | None]) -> None:
    assert split_target(method, target) == parts


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"a", "a"),
        (b"A.Example.COM", "a.example.com"),
        (b"a.example.com.", "a.example.com"),
        (b"a:8080", "a"),
        (b"a:", "a"),
        (b"10.0.0.1:80", "10.0.0.1"),
        (b"[::1]", "[::1]"),
        (b"[2001:DB8::1]:443", "[2001:db8::1]"),
        (b"[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"),
        (b"under_score.a", "under_score.a"),
        (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_lower_case_without_port(value: bytes, host: str) -> None:
    assert parse_authority(value) == (value.decode(), host)
    assert parse_authority(value) == (value.decode(), host)


@pytest.mark.parametrize(
    "value",
    [b"", b".", b"..", b"a b", b"a/b", b"u@a", b"a:b", b"a:65536", b"a:0", b"[::1", b"::1", b"[]", b"[a]", b"a" * 262],
)
def test_a_bad_authority_is_refused(value: bytes) -> None:
    with pytest.raises(ProtocolError, match="400"):
        parse_authority(value)


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("GET", b"/a%2e/../b?c", b"/a%2e/../b?c"),
        ("OPTIONS", b"*", b"*"),
        ("GET", b"http://h/a?b", b"/a?b"),
        ("GET", b"http://h", b"/"),
        ("GET", b"http://h?b", b"/?b"),
        ("OPTIONS", b"http://h", b"*"),
    ],
)
def test_an_endpoint_gets_the_target_as_sent_in_origin_form(method: str, target: bytes, sent: bytes) -> None:
    assert origin_form(request(method=method, target=target)) == sent
