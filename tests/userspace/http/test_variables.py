import os
from base64 import b64encode
from types import SimpleNamespace

import pytest

from tests.requests import PEER, request
from userspace.http.request import Tls


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
        ("http_x_y", "1, 3, 4"),
        ("http_X-Y", "1, 3, 4"),
        ("http_xy", None),
        ("http_none", None),
        ("content_type", "text/x"),
        ("consumer_name", None),
        ("nonsense", None),
        ("arg_", None),
    ],
)
def test_a_variable_has_its_value(name: str, value: str | None) -> None:
    one = request(
        "POST",
        "/a//b%20c?q=1&r",
        "Cookie: c=2",
        "X-Y: 1",
        "x-y: 3",
        "X_y: 4",
        "Content-Type: text/x",
        host="Any.example:8080",
    )
    assert one.var(name) == value


def test_what_came_later_has_a_value_once_it_came() -> None:
    one = request("GET", "/", f"Authorization: Basic {b64encode(b'bob:secret').decode()}")
    later = ["status", "bytes_sent", "request_time", "upstream_addr", "balancer_ip", "route_id", "sent_http_x", "msec"]
    assert [one.var(name) for name in later] == [None] * len(later)
    one.response = SimpleNamespace(status=201, header_values=lambda name: [b"1", b"2"] if name == b"x" else [])
    assert (one.var("status"), one.var("sent_http_x"), one.var("sent_http_y")) == ("201", "1, 2", None)
    one.summary = SimpleNamespace(
        status=502, bytes_in=10, bytes_out=0, request_ms=1500.0, upstream_ms=2.0, all_tries=(), started=5.0
    )
    one.endpoint = SimpleNamespace(host="10.0.0.1", port=80, domain=None)
    route = SimpleNamespace(id="r", name="", service_id="s")
    one.route = SimpleNamespace(route=route, taken=lambda path: {"name": path})
    values = ["502", "0", "1.500", None, "10.0.0.1", "r", "1, 2", "6.500"]
    assert [one.var(name) for name in later] == values
    assert [
        one.var(name) for name in ("balancer_port", "route_name", "service_id", "uri_param_name", "uri_param_x")
    ] == [
        "80",
        None,
        "s",
        "/",
        None,
    ]
    assert one.var("remote_user") == "bob"


def test_a_tls_connection_has_variables_and_a_plain_one_has_none() -> None:
    names = ("https", "ssl_server_name", "ssl_protocol", "ssl_client_verify", "ssl_client_s_dn")
    assert [request().var(name) for name in names] == ["", None, None, None, None]
    peer = PEER._replace(scheme="https", tls=Tls("a.example", "TLSv1.3", "C", "id"))
    assert [request(peer=peer).var(name) for name in names] == ["on", "a.example", "TLSv1.3", "NONE", None]


@pytest.mark.parametrize(
    ("host", "domain", "name"),
    [
        ("10.0.0.1", "shop.internal", "shop.internal"),
        ("shop.internal", None, "shop.internal"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("fd00::1", None, "fd00::1"),
    ],
)
def test_an_endpoint_has_the_host_that_it_was_configured_by(host: str, domain: str | None, name: str | None) -> None:
    one = request()
    assert one.var("upstream_unresolved_host") is None
    one.endpoint = SimpleNamespace(host=host, port=80, domain=domain)
    assert one.var("upstream_unresolved_host") == name


def test_a_request_has_one_id_which_plugin_request_id_may_name_anew() -> None:
    one = request()
    made = one.var("request_id")
    assert made is not None and len(made) == 32 and one.var("request_id") == one.var("apisix_request_id") == made
    assert request().var("request_id") != made
    one.state["request-id"] = "theirs"
    assert (one.var("request_id"), one.var("apisix_request_id")) == (made, "theirs")


def test_where_a_request_goes_is_known_without_any_plugin() -> None:
    one = request(host="a.example:8080")
    names = ("upstream_scheme", "upstream_host", "upstream_uri")
    assert [one.var(name) for name in names] == ["http", "a.example:8080", ""]
    one.route = SimpleNamespace(
        slot=SimpleNamespace(compiled=SimpleNamespace(upstream=SimpleNamespace(scheme="https")))
    )
    one.sent_host = b"inner.example"
    assert [one.var(name) for name in names] == ["https", "inner.example", ""]
    one.upstream_scheme, one.upstream_host, one.upstream_path = "http", b"plugin.example", b"/x"
    assert [one.var(name) for name in names] == ["http", "plugin.example", "/x"]
    assert one.var("hostname") == os.uname().nodename
