import gzip
from typing import Any

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of
from userspace.http.request import Request
from userspace.plugins.compression import Coders
from userspace.plugins.env import Env
from userspace.plugins.filters.gzip import COST
from userspace.plugins.response import Response

BODY = b"0123456789\n" * 1000


def answer(*headers: tuple[bytes, bytes], status: int = 200) -> Response:
    return Response(status, [(b"Content-Type", b"text/html"), *headers], False)


def coded(response: Response, one: Request | None = None, env: Env | None = None, **conf: Any) -> bytes | None:
    """What becomes of BODY in three pieces; None when it stays."""
    one = request("GET", "/", "Accept-Encoding: gzip") if one is None else one
    filter_of("gzip", conf, env).header_filter(one, response)
    coder = response.coder()
    if coder is None:
        return None
    return coder(BODY[:5], False) + coder(BODY[5:], False) + coder(b"", True)


def test_a_body_is_compressed_and_says_so() -> None:
    response = answer((b"Content-Length", b"11000"), (b"ETag", b'"1"'), (b"Vary", b"upstream"))
    out = coded(response)
    assert out is not None and len(out) < 200 and gzip.decompress(out) == BODY
    assert response.header(b"content-encoding") == b"gzip" and response.header(b"content-length") is None
    assert response.header(b"etag") == b'W/"1"' and response.header_values(b"vary") == [b"upstream"]


def test_a_higher_level_makes_it_smaller() -> None:
    words = b"".join(b"the quick %d, brown %x\n" % (number % 13, number % 97) for number in range(5000))
    sizes = []
    for level in (1, 9):
        response = answer()
        filter_of("gzip", {"comp_level": level}).header_filter(request("GET", "/", "Accept-Encoding: gzip"), response)
        coder = response.coder()
        assert coder is not None
        out = coder(words, True)
        assert gzip.decompress(out) == words
        sizes.append(len(out))
    assert sizes[0] > sizes[1]


def test_vary_is_added_whether_or_not_this_client_accepts_it() -> None:
    for one in (request("GET", "/", "Accept-Encoding: gzip"), request()):
        response = answer((b"Vary", b"upstream"))
        coded(response, one, vary=True)
        assert response.header_values(b"vary") == [b"upstream", b"Accept-Encoding"]


def test_what_is_coded_already_stays_also_when_a_later_filter_coded_it() -> None:
    response = answer((b"Content-Encoding", b"br"))
    assert coded(response) is None
    late = answer()
    filter_of("gzip", {}).header_filter(request("GET", "/", "Accept-Encoding: gzip"), late)
    late.set_header(b"Content-Encoding", b"br")
    assert late.coder() is None


def test_only_statuses_that_nginx_compresses() -> None:
    assert coded(answer(status=404)) is not None and coded(answer(status=403)) is not None
    assert coded(answer(status=500)) is None and coded(answer(status=201)) is None


def test_the_status_is_the_one_that_other_filters_leave() -> None:
    response = answer(status=500)
    filter_of("gzip", {}).header_filter(request("GET", "/", "Accept-Encoding: gzip"), response)
    response.status = 200
    assert response.coder() is not None


def test_clients_that_do_not_accept_it_or_stand_behind_a_proxy_get_it_as_it_is() -> None:
    assert coded(answer(), request()) is None
    assert coded(answer(), request("GET", "/", "Accept-Encoding: br, *")) is None
    assert coded(answer(), request("GET", "/", "Accept-Encoding: gzip", "Via: 1.1 proxy")) is None


def test_beyond_the_memory_for_it_answers_go_as_they_are() -> None:
    env = Env(coders=Coders(most=COST))
    held = answer()
    filter_of("gzip", {}, env).header_filter(request("GET", "/", "Accept-Encoding: gzip"), held)
    coder = held.coder()
    assert coder is not None
    response = answer((b"Content-Length", b"11000"))
    assert coded(response, env=env) is None and env.coders.declined == 1
    assert response.header(b"content-length") == b"11000" and response.header(b"content-encoding") is None
    coder(b"", True)
    assert coded(answer(), env=env) is not None
