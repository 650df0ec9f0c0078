import pytest

from tests.requests import request
from userspace.http.events import ProtocolError
from userspace.routing.path_rules import PathRules

ALL = PathRules(keep_encoded_slash=True, like_servlet=True, drop_tail_slash=True)


@pytest.mark.parametrize(
    ("rules", "target", "path"),
    [
        (PathRules(), "/a%2Fb;x/", "/a/b;x/"),
        (PathRules(drop_tail_slash=True), "/a/", "/a"),
        (PathRules(drop_tail_slash=True), "/a//", "/a"),
        (PathRules(drop_tail_slash=True), "/", "/"),
        (PathRules(like_servlet=True), "/a;x=1/b;y", "/a/b"),
        (PathRules(like_servlet=True), "/;x", "/"),
        (PathRules(keep_encoded_slash=True), "/a%2fb%2Fc%20d/./e?q=%2f", "/a%2Fb%2Fc d/e"),
        (PathRules(keep_encoded_slash=True), "/plain", "/plain"),
        (ALL, "/a%2Fb/c;x/", "/a%2Fb/c"),
    ],
)
def test_a_path_is_matched_as_the_options_say(rules: PathRules, target: str, path: str) -> None:
    one = request("GET", target)
    rules.apply(one)
    assert one.path == path
    assert one.head.target.decode() == target


@pytest.mark.parametrize("target", ["/a/..;x/b", "/.;/b", "/a/;x/b", "/%252e%252E;x/b", "/a%252fb;x", "/a%2500;x/b"])
def test_what_a_servlet_would_read_otherwise_is_refused(target: str) -> None:
    with pytest.raises(ProtocolError, match="400"):
        PathRules(like_servlet=True).apply(request("GET", target))


def test_no_option_costs_nothing() -> None:
    assert not PathRules()
    assert PathRules(drop_tail_slash=True)
