import pytest

from tests.requests import request


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uri", "/a/b c"),
        ("request_uri", "/a/b c?q=1&r"),
        ("real_request_uri", "/a//b%20c?q=1&r"),
        ("args", "q=1&r"),
        ("is_args", "?"),
        ("host", "any.example"),
        ("http_host", "Any.example:8080"),
        ("request_method", "POST"),
        ("scheme", "http"),
        ("server_protocol", "HTTP/1.1"),
        ("remote_addr", "192.0.2.7"),
        ("remote_port", "40000"),
        ("server_addr", "127.0.0.1"),
        ("server_port", "9080"),
        ("arg_q", "1"),
        ("arg_r", ""),
        ("arg_none", None),
        ("cookie_c", "2"),
        ("http_x_y", "1, 3"),
        ("http_none", None),
        ("content_type", "text/x"),
        ("consumer_name", None),
        ("nonsense", None),
        ("arg_", None),
    ],
)
def test_a_variable_has_its_value(name: str, value: str | None) -> None:
    one = request(
        "POST", "/a//b%20c?q=1&r", "Cookie: c=2", "X-Y: 1", "x-y: 3", "Content-Type: text/x", host="Any.example:8080"
    )
    assert one.var(name) == value
