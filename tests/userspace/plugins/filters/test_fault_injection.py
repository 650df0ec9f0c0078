from typing import Any

from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter
from userspace.plugins.outcome import Reply, Wait


def fault(draw: float = 0.5, **conf: Any) -> Filter:
    return build_chain({"fault-injection": conf}, Env(draw=lambda: draw)).steps[0].filter


def test_an_abort_answers_with_variables_filled_in() -> None:
    filter = fault(abort={"http_status": 418, "body": "no $arg_x", "headers": {"X-Why": "$uri", "X-N": 1}})
    reply = filter.rewrite(request("GET", "/tea?x=milk"))
    assert isinstance(reply, Reply) and (reply.status, reply.body) == (418, b"no milk")
    assert (b"X-Why", b"/tea") in reply.headers and (b"X-N", b"1") in reply.headers


def test_a_delay_waits_and_goes_on_or_answers() -> None:
    assert fault(delay={"duration": 2}).rewrite(request()) == Wait(2)
    both = fault(delay={"duration": 2}, abort={"http_status": 500}).rewrite(request())
    assert isinstance(both, Wait) and both.reply is not None and both.reply.status == 500


def test_a_percentage_is_of_requests() -> None:
    assert fault(0.29, abort={"http_status": 500, "percentage": 30}).rewrite(request()) is not None
    assert fault(0.31, abort={"http_status": 500, "percentage": 30}).rewrite(request()) is None
    assert fault(0.0, abort={"http_status": 500, "percentage": 0}).rewrite(request()) is None


def test_one_of_the_expressions_must_hold() -> None:
    vars = [[["arg_a", "==", "1"], ["arg_b", "==", "2"]], [["arg_c", "==", "3"]]]
    filter = fault(abort={"http_status": 500, "vars": vars})
    hit = [filter.rewrite(request("GET", f"/?{query}")) is not None for query in ("a=1", "a=1&b=2", "c=3", "")]
    assert hit == [False, True, True, False]


def test_an_abort_without_a_body_is_answered_with_the_page_of_its_status() -> None:
    reply = fault(abort={"http_status": 403, "headers": {"X-Why": "so"}}).rewrite(request())
    assert isinstance(reply, Reply)
    assert b"<title>403 Forbidden</title>" in reply.body and (b"X-Why", b"so") in reply.headers
    assert (b"Content-Type", b"text/html; charset=utf-8") in reply.headers
    empty = fault(abort={"http_status": 403, "body": ""}).rewrite(request())
    assert isinstance(empty, Reply) and empty.body == b""
