"""Bodies as lua-cjson reads them, within limits."""

from typing import Any

import pytest

from control.admin.body import parse_body


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 5.0, "b": 5.5, "c": 1e3, "d": -0.0}', {"a": 5, "b": 5.5, "c": 1000, "d": 0}),
        (b'{"a": "line\n\ttab"}', {"a": "line\n\ttab"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b' [1, null, true, "\\ud83d\\ude80"] ', [1, None, True, "\U0001f680"]),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
def test_what_is_json_is_read(raw: bytes, value: Any) -> None:
    parsed = parse_body(raw)
    assert value is None or parsed == value
    assert not isinstance(parsed, dict) or not isinstance(parsed.get("a"), float)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1,]", b"-Infinity", b"1e400", b'"\\udfff"', b"\xff", b"[" * 101 + b"]" * 101]
)
def test_what_could_not_be_stored_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_body(raw)
