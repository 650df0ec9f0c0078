from typing import Any

import pytest

from tests.requests import PEER, request
from tests.userspace.plugins.filters.filter_of import filter_of, location, said
from userspace.plugins.env import Env


@pytest.mark.parametrize(
    ("conf", "target", "expected"),
    [
        ({"uri": "/test/add"}, "/hello", "/test/add"),
        ({"uri": "$uri/test/add"}, "/hello", "/hello/test/add"),
        ({"uri": "/a$x${uri}b\\$uri"}, "/hello", "/a/hellob\\$uri"),
        ({"uri": "$request_uri/x"}, "/a?b=c", "/a?b=c/x"),
        ({"uri": "https://$host/x", "append_query_string": True}, "/a?b=c", "https://any.example/x?b=c"),
        ({"uri": "/x?y=1", "append_query_string": True}, "/a?b=c", "/x?y=1&b=c"),
        ({"uri": "/x", "append_query_string": True}, "/a", "/x"),
        ({"uri": "$uri", "encode_uri": True}, "/%E5%8D%8F%20x", "/%E5%8D%8F%20x"),
        ({"uri": "$uri?a b", "encode_uri": True}, "/a%20b", "/a%20b?a b"),
        ({"regex_uri": ["^/test/(.*)", "http://t.com/${1}/$1"]}, "/test/hello", "http://t.com/hello/hello"),
        ({"regex_uri": ["^/test/(.*)", "/$1"]}, "/other", None),
    ],
)
def test_where_to(conf: dict[str, Any], target: str, expected: str | None) -> None:
    outcome = filter_of("redirect", conf).rewrite(request("GET", target))
    assert location(outcome) == expected
    assert outcome is None or said(outcome)[0] == 302


def test_a_line_end_in_a_path_does_not_end_the_field() -> None:
    assert location(filter_of("redirect", {"uri": "$uri"}).rewrite(request("GET", "/a%0d%0aX"))) == "/a%0D%0AX"


def test_http_goes_to_https_with_the_method_kept() -> None:
    to_https = filter_of("redirect", {"http_to_https": True})
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308)):
        outcome = to_https.rewrite(request(method, "/a?b", host="foo.com:80"))
        assert (said(outcome)[0], location(outcome)) == (status, "https://foo.com/a?b")
    assert to_https.rewrite(request(peer=PEER._replace(scheme="https"))) is None


def test_the_port_of_https_is_named_unless_it_is_443() -> None:
    for port, named in ((443, ""), (9443, ":9443")):
        outcome = filter_of("redirect", {"http_to_https": True}, Env(https_port=port)).rewrite(request())
        assert location(outcome) == f"https://any.example{named}/"


def test_only_a_trusted_peer_says_what_scheme_the_client_used() -> None:
    to_https = filter_of("redirect", {"http_to_https": True})
    for trusted, goes_on in ((True, True), (False, False), (None, False)):
        one = request("GET", "/", "X-Forwarded-Proto: https", peer=PEER._replace(trusted=trusted))
        assert (to_https.rewrite(one) is None) is goes_on
