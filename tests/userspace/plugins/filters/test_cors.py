from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import answered, filter_of, said
from userspace.plugins.env import Env

METADATA = {"allow_origins": {"one": "https://a.com", "two": "https://b.com,https://c.com", "all": "*"}}


def allowed(conf: dict[str, Any], origin: str | None, *fields: str) -> dict[str, str]:
    """What the answer to a request from `origin` has for headers."""
    cors = filter_of("cors", conf, Env(metadata=lambda plugin: METADATA))
    one = request("GET", "/", *fields, *([f"Origin: {origin}"] if origin is not None else []))
    assert cors.rewrite(one) is None
    return answered(cors, one)


@pytest.mark.parametrize(
    ("conf", "origin", "expected"),
    [
        ({}, "http://x", "*"),
        ({}, None, "*"),
        ({"allow_origins": "**"}, "http://x", "http://x"),
        ({"allow_origins": "**"}, None, "*"),
        ({"allow_origins": "http://x"}, "http://x", "http://x"),
        ({"allow_origins": "http://x"}, "http://y", None),
        ({"allow_origins": "http://x,http://y"}, "http://y", "http://y"),
        ({"allow_origins": "http://x,http://y"}, "http://z", None),
        ({"allow_origins": "http://x,http://y"}, None, None),
        ({"allow_origins": "null"}, "null", "null"),
        ({"allow_origins_by_regex": [".*\\.test\\.com$"]}, "http://a.test.com", "http://a.test.com"),
        ({"allow_origins_by_regex": [".*\\.test\\.com$", "^http://b$"]}, "http://b", "http://b"),
        ({"allow_origins_by_regex": [".*\\.test\\.com$"]}, "http://test.org", None),
        ({"allow_origins_by_regex": [".*\\.test\\.com$"]}, None, None),
        ({"allow_origins_by_metadata": ["one", "two"]}, "https://c.com", "https://c.com"),
        ({"allow_origins_by_metadata": ["one", "none"]}, "https://c.com", None),
        ({"allow_origins_by_metadata": ["all"]}, "https://c.com", "https://c.com"),
        ({"allow_origins": "http://x", "allow_origins_by_metadata": ["one"]}, "http://x", "http://x"),
        ({"allow_origins": "http://x", "allow_origins_by_metadata": ["one"]}, "http://y", None),
    ],
)
def test_which_origins_are_allowed(conf: dict[str, Any], origin: str | None, expected: str | None) -> None:
    headers = allowed(conf, origin)
    assert headers.get("Access-Control-Allow-Origin") == expected
    assert ("Access-Control-Max-Age" in headers) is (expected is not None)
    assert headers.get("Vary") == (None if not conf else "Origin")


def test_what_else_is_said() -> None:
    assert allowed({}, "http://x") == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "*",
        "Access-Control-Max-Age": "5",
        "Access-Control-Allow-Headers": "*",
    }
    conf = {
        "allow_origins": "**", "allow_methods": "**", "allow_headers": "**", "expose_headers": "X-E",
        "max_age": 50, "allow_credential": True,
    }  # fmt: skip
    assert allowed(conf, "http://x", "Access-Control-Request-Headers: X-R") == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "http://x",
        "Access-Control-Allow-Methods": "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE",
        "Access-Control-Max-Age": "50",
        "Access-Control-Expose-Headers": "X-E",
        "Access-Control-Allow-Headers": "X-R",
        "Access-Control-Allow-Credentials": "true",
    }
    assert "Access-Control-Allow-Headers" not in allowed(conf, "http://x")


def test_timing_has_its_own_origins() -> None:
    for conf, origin, expected in (
        ({"timing_allow_origins": "http://x,http://y"}, "http://y", "http://y"),
        ({"timing_allow_origins": "http://x,http://y"}, "http://z", None),
        ({"timing_allow_origins": "*"}, "http://z", "*"),
        ({"timing_allow_origins_by_regex": ["z$"]}, "http://z", "http://z"),
        ({"timing_allow_origins_by_regex": ["z$"]}, "http://y", None),
    ):
        assert allowed(conf, origin).get("Timing-Allow-Origin") == expected


def test_a_preflight_request_is_answered() -> None:
    assert said(filter_of("cors", {}).rewrite(request("OPTIONS"))) == (200, "")


def test_a_plugin_that_changes_the_origin_on_the_way_does_not_change_the_answer() -> None:
    cors = filter_of("cors", {"allow_origins": "http://x"})
    one = request("GET", "/", "Origin: http://x")
    cors.rewrite(one)
    one.set_header(b"Origin", b"http://other")
    assert answered(cors, one)["Access-Control-Allow-Origin"] == "http://x"
