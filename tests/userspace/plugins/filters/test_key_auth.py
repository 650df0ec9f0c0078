from typing import Any

import pytest

from control.model.consumer import Consumer
from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter
from userspace.plugins.filters.key_auth import without_argument
from userspace.plugins.outcome import Reply


def key_auth(**conf: Any) -> Filter:
    env = Env()
    env.consumers.set_consumer("jack", None, Consumer("jack", plugins={"key-auth": {"key": "k1"}}))
    return build_chain({"key-auth": conf}, env).steps[0].filter


def test_a_key_in_the_header_or_the_query_identifies() -> None:
    for one in (request("GET", "/", "APIKEY: k1"), request("GET", "/?a=1&apikey=k1")):
        assert key_auth().rewrite(one) is None
        assert one.consumer_name == "jack"
    assert key_auth(header="X-Key", query="key").rewrite(request("GET", "/?key=k1")) is None


@pytest.mark.parametrize(
    ("target", "fields", "message"),
    [
        ("/", (), "Missing API key in request"),
        ("/", ("apikey: other",), "Invalid API key in request"),
        ("/?apikey=k1", ("apikey: other",), "Invalid API key in request"),
        ("/?APIKEY=k1", (), "Missing API key in request"),
    ],
)
def test_others_are_refused_with_a_challenge(target: str, fields: tuple[str, ...], message: str) -> None:
    reply = key_auth(realm="here").rewrite(request("GET", target, *fields))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (401, b'{"message":"%b"}\n' % message.encode())
    assert reply.headers[1] == (b"WWW-Authenticate", b'apikey realm="here"')


def test_the_credential_is_hidden_from_endpoints_when_asked() -> None:
    shown, hidden = request("GET", "/?a=1&apikey=k1"), request("GET", "/?a=1&apikey=k1&b")
    key_auth().rewrite(shown)
    key_auth(hide_credentials=True).rewrite(hidden)
    assert (shown.upstream_query, hidden.upstream_query) == (None, b"a=1&b")
    one = request("GET", "/", "apikey: k1")
    key_auth(hide_credentials=True).rewrite(one)
    assert one.header(b"apikey") is None


@pytest.mark.parametrize(
    ("target", "fields"), [("/?a=1&apikey=no", ()), ("/?a=1", ("apikey: no",)), ("/?a=1&apikey=no", ("apikey: no",))]
)
def test_a_key_that_is_no_good_is_hidden_too_where_it_passes_as_anonymous(target: str, fields: tuple[str, ...]) -> None:
    env = Env()
    env.consumers.set_consumer("nobody", None, Consumer("nobody"))
    conf = {"hide_credentials": True, "anonymous_consumer": "nobody"}
    one = request("GET", target, *fields)
    assert build_chain({"key-auth": conf}, env).steps[0].filter.rewrite(one) is None
    assert (one.consumer_name, one.query, one.header(b"apikey")) == ("nobody", b"a=1", None)


def test_a_second_key_is_hidden_with_the_one_that_counts() -> None:
    one = request("GET", "/?apikey=k2&a=1", "apikey: k1")
    key_auth(hide_credentials=True).rewrite(one)
    assert (one.consumer_name, one.upstream_query, one.header(b"apikey")) == ("jack", b"a=1", None)


def test_without_argument_takes_every_spelling_and_nothing_else() -> None:
    assert without_argument(b"k%20y=1&a=2&k+y=3&k", "k y") == b"a=2&k"
