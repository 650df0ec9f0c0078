"""The sticky plugin's configuration, and its keys."""

import base64
from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.schema import compile_schema
from control.model.sticky import SCHEMA, Sticky, StickyKeys

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def test_defaults_are_a_session_cookie_for_the_whole_site() -> None:
    assert Sticky.from_json({}) == Sticky("UNILB", "/", None, False, True, None)


def test_every_field_is_read() -> None:
    conf = {"cookie": "C", "path": "/x", "ttl": 5.0, "secure": True, "http_only": False, "same_site": "None"}
    assert Sticky.from_json(conf) == Sticky("C", "/x", 5, True, False, "None")


@pytest.mark.parametrize("secure", [{}, {"secure": False}])
def test_same_site_none_needs_secure(secure: dict[str, bool]) -> None:
    with pytest.raises(ModelError, match='property "same_site" validation failed: None needs "secure": true'):
        Sticky.from_json({"same_site": "None", **secure})


def test_keys_are_read_and_written() -> None:
    for doc in ({"current": TEXT}, {"current": TEXT, "previous": TEXT}):
        keys = StickyKeys.from_json(doc)
        assert keys == StickyKeys(KEY, KEY if "previous" in doc else None)
        assert keys.to_json() == doc


@pytest.mark.parametrize(
    "doc",
    [
        *(None, [], {}, {"current": 5}, {"current": ""}, {"current": "%%"}, {"current": TEXT[:-4]}),
        *({"current": TEXT, "previous": "x"}, {"current": TEXT, "next": TEXT}, {"current": "é"}),
    ],
)
def test_bad_keys_are_refused_and_not_shown(doc: Any) -> None:
    with pytest.raises(ModelError) as error:
        StickyKeys.from_json(doc)
    assert TEXT[:-4] not in str(error.value)


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"mode": "rewrite", "cookie": "SID"}, Sticky(cookie="SID", mode="rewrite")),
        ({"mode": "prefix", "cookie": "SID"}, Sticky(cookie="SID", mode="prefix")),
        ({"mode": "app_cookie", "cookie": "SID", "ttl": 60}, Sticky(cookie="SID", ttl=60, mode="app_cookie")),
        ({"mode": "session_id"}, Sticky(cookie="SESSIONID", mode="session_id")),
        ({"mode": "session_id", "cookie": "S", "domain": "a.b"}, Sticky(cookie="S", domain="a.b", mode="session_id")),
        ({"mode": "header", "header": "X-User"}, Sticky(mode="header", header="X-User")),
        ({"mode": "source_ip"}, Sticky(mode="source_ip")),
        (
            {"mode": "source_ip", "ipv4_prefix": 24.0, "ipv6_prefix": 64},
            Sticky(mode="source_ip", ipv4_prefix=24, ipv6_prefix=64),
        ),
        ({"mode": "tls_session", "when_down": "refuse"}, Sticky(mode="tls_session", when_down="refuse")),
        ({"when_drained": "repick", "_meta": {}}, Sticky(when_drained="repick")),
        ({"cookie": "__Host-u", "secure": True}, Sticky(cookie="__Host-u", secure=True)),
    ],
)
def test_each_mode_has_its_words(conf: dict[str, Any], expected: Sticky) -> None:
    assert Sticky.from_json(conf) == expected
    assert expected.hashes == (expected.mode in {"app_cookie", "session_id", "header", "source_ip", "tls_session"})


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({"mode": "rewrite"}, 'property "cookie" is required when "mode" is "rewrite"'),
        ({"mode": "prefix"}, 'property "cookie" is required when "mode" is "prefix"'),
        ({"mode": "app_cookie"}, 'property "cookie" is required when "mode" is "app_cookie"'),
        ({"mode": "header"}, 'property "header" is required when "mode" is "header"'),
        (
            {"mode": "header", "header": "a", "ttl": 5},
            'property "ttl" validation failed: mode "header" does not use it',
        ),
        (
            {"mode": "rewrite", "cookie": "a", "secure": True},
            'property "secure" validation failed: mode "rewrite" does',
        ),
        ({"ipv4_prefix": 8}, 'property "ipv4_prefix" validation failed: mode "insert" does not use it'),
        ({"cookie": "__Secure-a"}, 'property "cookie" validation failed: __Secure- needs "secure": true'),
        ({"cookie": "__Host-a"}, 'property "cookie" validation failed: __Host- needs "secure": true'),
        ({"cookie": "__Host-a", "secure": True, "path": "/x"}, "__Host- needs path"),
        ({"cookie": "__Host-a", "secure": True, "domain": "a.b"}, "__Host- needs path"),
    ],
)
def test_what_would_silently_not_stick_is_refused_by_name(conf: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError) as raised:
        Sticky.from_json(conf)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("conf", "field"),
    [
        ({"mode": "magic"}, "mode"),
        ({"domain": "a b"}, "domain"),
        ({"domain": "a;Secure"}, "domain"),
        ({"mode": "header", "header": "a:b"}, "header"),
        ({"mode": "source_ip", "ipv4_prefix": 33}, "ipv4_prefix"),
        ({"mode": "source_ip", "ipv6_prefix": 0}, "ipv6_prefix"),
        ({"when_down": "keep"}, "when_down"),
        ({"when_drained": "drop"}, "when_drained"),
    ],
)
def test_bad_values_are_refused_by_the_schema(conf: dict[str, Any], field: str) -> None:
    error = compile_schema(SCHEMA)(conf)
    assert error is not None and f'property "{field}" validation failed' in error
