from base64 import b64encode
from typing import Any

import pytest

from control.model.consumer import Consumer
from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter
from userspace.plugins.outcome import Reply


def basic_auth(**conf: Any) -> Filter:
    env = Env()
    jack = Consumer("jack", plugins={"basic-auth": {"username": "foo", "password": "b:r z"}})
    env.consumers.set_consumer("jack", None, jack)
    env.consumers.set_consumer("nobody", None, Consumer("nobody"))
    return filter_of("basic-auth", conf, env)


def basic(pair: str) -> str:
    return f"Authorization: Basic {b64encode(pair.encode()).decode()}"


@pytest.mark.parametrize("field", [basic("foo:b:r z"), basic("foo:b:rz"), basic("foo:b:rz").rstrip("=")])
def test_name_and_password_identify(field: str) -> None:
    one = request("GET", "/", field)
    assert basic_auth().rewrite(one) is None
    assert (one.consumer_name, one.header(b"authorization") is None) == ("jack", False)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (None, "Missing authorization in request"),
        ("Authorization: bad_header", "Invalid authorization in request"),
        ("Authorization: Bearer x", "Invalid authorization in request"),
        ("Authorization: Basic aca_a", "Invalid authorization in request"),
        (basic("foo"), "Invalid authorization in request"),
        (basic("bar:b:r"), "Invalid user authorization"),
        (basic("foo:b:R"), "Invalid user authorization"),
        (basic("foo:"), "Invalid user authorization"),
    ],
)
def test_others_are_refused_with_a_challenge(field: str | None, message: str) -> None:
    reply = basic_auth(realm="here").rewrite(request("GET", "/", *([field] if field else [])))
    assert isinstance(reply, Reply) and said(reply) == (401, f'{{"message":"{message}"}}\n')
    assert reply.headers[1] == (b"WWW-Authenticate", b'Basic realm="here"')


def test_the_credentials_are_hidden_from_endpoints_when_asked() -> None:
    for field in (basic("foo:b:r z"), "Authorization: Bearer x"):
        one = request("GET", "/", field)
        assert basic_auth(hide_credentials=True, anonymous_consumer="nobody").rewrite(one) is None
        assert one.header(b"authorization") is None


def test_who_is_not_known_may_be_anonymous() -> None:
    one = request()
    assert basic_auth(anonymous_consumer="nobody").rewrite(one) is None
    assert one.consumer_name == "nobody"
    reply = basic_auth(anonymous_consumer="missing").rewrite(request())
    assert said(reply) == (401, '{"message":"Invalid user authorization"}\n')
