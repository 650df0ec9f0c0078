from base64 import b64encode

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import answered, filter_of, said
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter

# Out of APISIX's own tests: made by its plugin, with the key "userkey".
TOKEN = (
    "eyJyYW5kb20iOjAuNDI5ODYzMTk3MTYxMzksInNpZ24iOiI0ODRlMDY4NTkxMWQ5NmJhMDc5YzQ1ZGI0OTE2NmZkYjQ0ODhjODVkNWQ0NmE1Y2Fh"
    "M2UwMmFhZDliNjE5OTQ2IiwiZXhwaXJlcyI6MjY0MzExOTYyNH0="
)


def csrf(now: float = 2643119625, expires: int = 7200) -> Filter:
    return filter_of("csrf", {"key": "userkey", "expires": expires}, Env(now=lambda: now, draw=lambda: 0.25))


def write(filter: Filter, header: str | None, cookie: str | None) -> tuple[int, str]:
    fields = [f"apisix-csrf-token: {header}"] if header is not None else []
    fields += [f"Cookie: apisix-csrf-token={cookie}"] if cookie is not None else []
    return said(filter.access(request("POST", "/", *fields)))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_needs_no_token(method: str) -> None:
    assert csrf().access(request(method)) is None


def test_a_token_of_apisix_is_taken() -> None:
    assert write(csrf(), TOKEN, TOKEN) == (0, "")


@pytest.mark.parametrize(
    ("header", "cookie", "why"),
    [
        (None, TOKEN, "no csrf token in headers"),
        ("", TOKEN, "no csrf token in headers"),
        (TOKEN, None, "no csrf cookie"),
        ("other", TOKEN, "csrf token mismatch"),
        ("e30=", "e30=", "Failed to verify the csrf token signature"),
        ("*", "*", "Failed to verify the csrf token signature"),
        *(
            (token, token, "Failed to verify the csrf token signature")
            for token in (
                b64encode(document).decode()
                for document in (b"1", b'{"random":1,"expires":1}', b'{"random":1,"expires":"x","sign":"y"}', b"\xff")
            )
        ),
    ],
)
def test_others_are_refused(header: str | None, cookie: str | None, why: str) -> None:
    assert write(csrf(), header, cookie) == (401, f'{{"error_msg":"{why}"}}\n')


def test_a_token_expires_unless_that_is_switched_off() -> None:
    assert write(csrf(now=2643119624 + 7201), TOKEN, TOKEN)[0] == 401
    assert write(csrf(now=2643119624 + 7201, expires=0), TOKEN, TOKEN)[0] == 0


def test_each_answer_sets_a_token_that_is_taken() -> None:
    cookie = answered(csrf(), request())["Set-Cookie"]
    pair, *options = cookie.split(";")
    name, _, token = pair.partition("=")
    assert name == "apisix-csrf-token"
    assert options == ["path=/", "SameSite=Lax", "Expires=Fri, 03 Oct 2053 17:53:45 GMT"]
    assert write(csrf(), token, token) == (0, "")
