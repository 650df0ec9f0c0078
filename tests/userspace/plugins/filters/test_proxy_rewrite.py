from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of
from userspace.http.request import Request
from userspace.proxy.endpoint_head import target_of


def rewritten(target: str, *fields: str, **conf: Any) -> Request:
    one = request("GET", target, *fields)
    assert filter_of("proxy-rewrite", conf).rewrite(one) is None
    return one


@pytest.mark.parametrize(
    ("conf", "target", "expected"),
    [
        ({"uri": "/test/home"}, "/hello?a=1", "/test/home?a=1"),
        ({"uri": "/test?x=$arg_a"}, "/hello?a=1", "/test?x=1&a=1"),
        ({"uri": "/test?x=1"}, "/hello", "/test?x=1"),
        ({"uri": "/$uri/$none"}, "/a%3Fb%20c", "//a%253Fb%20c/"),
        ({"uri": "/${arg_a}x"}, "/?a=%3Fb", "/%253Fbx?a=%3Fb"),
        ({"regex_uri": ["^/test/(.*)/(.*)", "/$1_$2"]}, "/test/a/b?c", "/a_b?c"),
        ({"regex_uri": ["^/test/(.*)", "/x?y=$1"]}, "/test/a?c", "/x?y=a&c"),
        ({"regex_uri": ["^/test/(.*)", "/x?y=$1"]}, "/test/a%3Fb?c", "/x%3Fy=a%3Fb?c"),
        ({"regex_uri": ["^/none", "/x"]}, "/test?c", "/test?c"),
        ({"regex_uri": ["^/a$", "/1", "^/b$", "/2", "^/", "/3"]}, "/b", "/2"),
        ({"uri": "/first", "regex_uri": ["^/", "/second"]}, "/", "/first"),
        ({"host": "x"}, "/a%20b/%E5?c", "/a%20b/%E5?c"),
        ({"host": "x"}, "/a%2Fb/../c%3Fd", "/a/c%3Fd"),
        ({"use_real_request_uri_unsafe": True}, "/a%2Fb/../c?d", "/a%2Fb/../c?d"),
        ({"use_real_request_uri_unsafe": True, "regex_uri": ["/(.*)%2F", "/$1-"]}, "/a%2Fb?d", "/a-b?d"),
        ({"uri": "/$upstream_uri"}, "/x", "/"),
    ],
)
def test_the_target(conf: dict[str, Any], target: str, expected: str) -> None:
    assert target_of(rewritten(target, **conf)).decode("latin-1") == expected


def test_line_ends_that_a_client_encoded_do_not_end_a_line() -> None:
    one = rewritten("/a%0D%0AX:1", uri="/x?$uri", headers={"X-U": "$uri"})
    assert target_of(one) == b"/x?/a%0D%0AX:1" and one.header(b"x-u") == b"/a%0D%0AX:1"


def test_host_and_method() -> None:
    one = rewritten("/", host="up.example:8080", method="POST")
    assert (one.upstream_host, one.method, one.var("upstream_host")) == (b"up.example:8080", "POST", "up.example:8080")


def test_headers_are_added_set_and_removed_with_variables_and_captures() -> None:
    conf = {
        "regex_uri": ["^/(\\w+)/(\\w+)", "/$2"],
        "headers": {
            "add": {"X-A": ["1", "$1"]},
            "set": {"X-B": "$2 $arg_q $9 ${host}", "X-C": 7, "X-D": ["x", "y"]},
            "remove": ["X-E"],
        },
    }
    one = rewritten("/a/b?q=z", "X-A: 0", "X-B: old", "x-b: old", "X-E: gone", **conf)
    values = {name: one.header_values(name) for name in (b"x-a", b"x-b", b"x-c", b"x-d", b"x-e")}
    assert values == {
        b"x-a": [b"0", b"1", b"a"], b"x-b": [b"b z  any.example"], b"x-c": [b"7"], b"x-d": [b"x", b"y"], b"x-e": [],
    }  # fmt: skip
    assert rewritten("/", "X-F: 1", headers={"X-F": "2"}).header_values(b"x-f") == [b"2"]


def test_what_a_client_says_is_not_taken_for_a_variable() -> None:
    conf = {"regex_uri": ["^/(.*)", "/x"], "headers": {"X-A": "$1"}}
    assert rewritten("/$host", **conf).header(b"x-a") == b"$host"


def test_a_header_that_is_set_to_nothing_is_gone() -> None:
    one = request("GET", "/", "X-A: 1", "X-B: 2", "X-C: 3")
    filter_of("proxy-rewrite", {"headers": {"X-A": "", "X-B": "$arg_none", "X-D": ""}}).rewrite(one)
    assert [name for name, _ in one.head.headers] == [b"Host", b"X-C"]
