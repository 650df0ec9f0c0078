from typing import Any

import brotli
import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of
from userspace.plugins.compression import Coders
from userspace.plugins.env import Env
from userspace.plugins.filters.brotli import MAX_LEVEL, cost_of
from userspace.plugins.response import Response

BODY = b"".join(b"%d %d\n" % (number, number * number) for number in range(5000))


def answer(*headers: tuple[bytes, bytes], status: int = 200) -> Response:
    return Response(status, [(b"Content-Type", b"text/html"), *headers], False)


def coded(response: Response, accepted: str = "br", env: Env | None = None, **conf: Any) -> bytes | None:
    """What becomes of BODY in two pieces; None when it stays."""
    filter_of("brotli", conf, env).header_filter(request("GET", "/", f"Accept-Encoding: {accepted}"), response)
    if not response.transforms:
        return None
    (coder,) = response.transforms
    return coder(BODY[:5], False) + coder(BODY[5:], False) + coder(b"", True)


def test_a_body_is_compressed_and_says_so() -> None:
    modified = (b"Last-Modified", b"Thu, 27 Nov 2025 00:32:33 GMT")
    response = answer((b"Content-Length", b"58000"), (b"ETag", b'"1"'), modified)
    out = coded(response)
    assert out is not None and len(out) < len(BODY) / 2 and brotli.decompress(out) == BODY
    assert response.headers == [
        (b"Content-Type", b"text/html"), modified, (b"ETag", b'W/"1"'), (b"Content-Encoding", b"br"),
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{"mode": 1}, {"lgwin": 0}, {"lgwin": 10, "lgblock": 16}, {"lgwin": 24}])
def test_its_options_are_the_library_s(options: dict[str, int]) -> None:
    out = coded(answer(), **options)
    assert out is not None and brotli.decompress(out) == BODY


def test_a_higher_level_makes_it_smaller_up_to_the_one_that_would_hold_others_up() -> None:
    sizes = [len(coded(answer(), comp_level=level) or b"") for level in (0, 3, MAX_LEVEL, 11)]
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3]


def test_vary_is_added_for_those_who_accept_it() -> None:
    response = answer((b"Vary", b"upstream"))
    coded(response, vary=True)
    assert response.header_values(b"vary") == [b"upstream", b"Accept-Encoding"]
    response = answer()
    assert coded(response, "gzip", vary=True) is None and response.header(b"vary") is None


def test_what_is_coded_already_stays() -> None:
    response = answer((b"Content-Encoding", b"gzip"))
    assert coded(response) is None and response.header(b"content-encoding") == b"gzip"


def test_statuses_are_of_no_account_but_parts_are() -> None:
    assert coded(answer(status=500)) is not None
    assert coded(answer(status=206)) is None


def test_beyond_the_memory_for_it_answers_go_as_they_are() -> None:
    env = Env(coders=Coders(most=cost_of(MAX_LEVEL) - 1))
    assert coded(answer(), env=env) is None and env.coders.declined == 1
    assert coded(answer(), env=env, comp_level=4) is not None and env.coders.taken == 0
