from typing import Any

from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.workflow import Workflow
from userspace.plugins.outcome import Reply
from userspace.plugins.response import Response

COUNT = ["limit-count", {"count": 1, "time_window": 60, "rejected_code": 429}]


def workflow(*rules: Any) -> Workflow:
    filter = build_chain({"workflow": {"rules": list(rules)}}, Env()).steps[0].filter
    assert isinstance(filter, Workflow)
    return filter


def test_the_first_rule_whose_case_holds_decides() -> None:
    filter = workflow(
        {"case": [["uri", "==", "/a"]], "actions": [["return", {"code": 403}]]},
        {"case": [["uri", "~~", "^/b"]], "actions": [["return", {"code": 404}]]},
    )
    replies = [filter.access(request(target=path)) for path in ("/a", "/b", "/c")]
    assert [reply.status if isinstance(reply, Reply) else None for reply in replies] == [403, 404, None]
    assert isinstance(replies[0], Reply) and replies[0].body == b'{"error_msg":"rejected by workflow"}\n'


def test_a_rule_without_a_case_always_holds() -> None:
    assert isinstance(workflow({"actions": [["return", {"code": 403}]]}).access(request()), Reply)


def test_a_limit_counts_for_its_rule_alone_and_shows_its_quota() -> None:
    filter = workflow({"case": [["uri", "==", "/a"]], "actions": [COUNT]}, {"actions": [COUNT]})
    one, response = request(target="/a"), Response(200, [], False)
    assert filter.access(one) is None
    filter.header_filter(one, response)
    assert response.header(b"x-ratelimit-remaining") == b"0"
    assert filter.access(request(target="/b")) is None
    reply = filter.access(request(target="/a"))
    assert isinstance(reply, Reply) and reply.status == 429


def test_an_action_that_needs_a_redis_server_is_refused_by_name() -> None:
    rules = {"rules": [{"actions": [["limit-count", {"policy": "redis"}]]}]}
    assert Workflow.unserved(rules) == 'action [limit-count]: property "policy": "redis" not served by unilb'
    assert Workflow.unserved({"rules": [{"actions": [COUNT]}]}) is None
