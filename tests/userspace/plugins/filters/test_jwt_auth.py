import hmac
import sys
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control.model.consumer import Consumer
from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.outcome import Reply

NOW = 1_700_000_000.0
KEY = ed25519.Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
CONSUMERS = {
    "jack": {"key": "k1", "secret": "s1"},
    "coded": {"key": "k2", "secret": b64encode(b"raw").decode(), "base64_secret": True, "algorithm": "HS512"},
    "late": {"key": "k3", "secret": "s1", "lifetime_grace_period": 60},
    "ed": {"key": "k4", "public_key": PUBLIC, "algorithm": "EdDSA"},
    "bare": {"key": "k5"},
}


def token(claims: dict[str, Any], secret: bytes = b"s1", algorithm: str = "HS256") -> str:
    head, body = (
        urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in ({"typ": "JWT", "alg": algorithm}, claims)
    )
    signed = head + b"." + body
    raw = KEY.sign(signed) if algorithm == "EdDSA" else hmac.digest(secret, signed, f"sha{algorithm[2:]}")
    return f"{signed.decode()}.{urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def rewrite(one: Request, **conf: Any) -> tuple[int, str]:
    env = Env(now=lambda: NOW)
    for name, plugin in CONSUMERS.items():
        env.consumers.set_consumer(name, None, Consumer(name, plugins={"jwt-auth": plugin}))
    return said(filter_of("jwt-auth", conf, env).rewrite(one))


def sent(text: str) -> Request:
    return request("GET", "/", f"Authorization: {text}")


GOOD = token({"key": "k1"})


@pytest.mark.parametrize(
    "one",
    [
        sent(GOOD), sent(f"Bearer {GOOD}"), sent(f"bearer {GOOD}"), request("GET", f"/?jwt={GOOD}"),
        request("GET", "/", f"Cookie: a=b; jwt={GOOD}"),
    ],
)  # fmt: skip
def test_a_token_identifies_wherever_it_stands(one: Request) -> None:
    assert rewrite(one) == (0, "")
    assert one.consumer_name == "jack"


def test_header_argument_cookie_and_claim_can_be_named() -> None:
    conf = {"header": "X-T", "query": "q", "cookie": "c", "key_claim_name": "iss"}
    text = token({"iss": "k1"})
    for one in (
        request("GET", "/", f"X-T: {text}"),
        request("GET", f"/?q={text}"),
        request("GET", "/", f"Cookie: c={text}"),
    ):
        assert rewrite(one, **conf) == (0, "")
    assert rewrite(sent(text), **conf)[0] == 401


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (request(), "Missing JWT token in request"),
        (sent("x"), "JWT token invalid"),
        (sent("BEARER " + GOOD), "JWT token invalid"),
        (request("GET", "/?jwt="), "JWT token invalid"),
        (sent(token({})), "missing user key in JWT token"),
        (sent(token({"key": "other"})), "Invalid user key in JWT token"),
        (sent(token({"key": 1})), "Invalid user key in JWT token"),
        (sent(token({"key": "k1"}, b"other")), "failed to verify jwt"),
        (sent(token({"key": "k1"}, algorithm="HS512")), "failed to verify jwt"),
        (sent(token({"key": "k4"}, PUBLIC.encode())), "failed to verify jwt"),
        (sent(token({"key": "k5"}, b"")), "failed to verify jwt"),
        (sent(token({"key": "k1", "exp": NOW})), "failed to verify jwt"),
        (sent(token({"key": "k1", "nbf": NOW + 1})), "failed to verify jwt"),
        (sent(token({"key": "k1", "exp": "x"})), "failed to verify jwt"),
    ],
)
def test_others_are_refused(one: Request, message: str) -> None:
    assert rewrite(one) == (401, f'{{"message":"{message}"}}\n')


def test_the_refusal_challenges() -> None:
    reply = filter_of("jwt-auth", {"realm": "here"}).rewrite(request())
    assert isinstance(reply, Reply) and (b"WWW-Authenticate", b'Bearer realm="here"') in reply.headers


def test_secrets_may_be_base64_and_keys_public() -> None:
    assert rewrite(sent(token({"key": "k2"}, b"raw", "HS512"))) == (0, "")
    assert rewrite(sent(token({"key": "k4"}, algorithm="EdDSA"))) == (0, "")


def test_clocks_may_differ_by_the_grace_period() -> None:
    assert rewrite(sent(token({"key": "k3", "exp": NOW - 59, "nbf": NOW + 59}))) == (0, "")
    assert rewrite(sent(token({"key": "k3", "exp": NOW - 60})))[0] == 401


def test_claims_that_are_named_must_be_there_and_others_do_not_count() -> None:
    for claims, status in (({"nbf": NOW - 1}, 0), ({}, 401), ({"nbf": NOW - 1, "exp": NOW - 1}, 0)):
        assert rewrite(sent(token({"key": "k1", **claims})), claims_to_verify=["nbf"])[0] == status


def test_the_token_is_hidden_from_endpoints_when_asked() -> None:
    header, argument = sent(f"Bearer {GOOD}"), request("GET", f"/?a=1&jwt={GOOD}")
    cookies, only = request("GET", "/", f"Cookie: a=b;jwt={GOOD}; c=d"), request("GET", "/", f"Cookie: jwt={GOOD}")
    for one in (header, argument, cookies, only):
        assert rewrite(one, hide_credentials=True) == (0, "")
    assert (header.header(b"authorization"), argument.upstream_query) == (None, b"a=1")
    assert (cookies.header(b"cookie"), only.header(b"cookie")) == (b"a=b; c=d", None)


def test_who_is_not_known_may_be_anonymous_and_the_payload_may_be_kept() -> None:
    one = request()
    assert rewrite(one, anonymous_consumer="bare") == (0, "") and one.consumer_name == "bare"
    assert rewrite(request(), anonymous_consumer="none") == (401, '{"message":"Invalid user authorization"}\n')
    one = sent(GOOD)
    assert rewrite(one, store_in_ctx=True) == (0, "") and one.state["jwt-auth"] == {"key": "k1"}
    assert "jwt" not in sys.modules
