from typing import Any

from tests.requests import request
from tests.userspace.plugins.counts import Counts
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.workflow import Workflow
from userspace.plugins.outcome import Reply
from userspace.plugins.response import Response

LIMIT = {"count": 1, "time_window": 60, "rejected_code": 429}
COUNT = ["limit-count", LIMIT]


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


def test_a_limit_of_an_action_may_stand_in_redis_and_ends_with_the_configuration() -> None:
    counts = Counts([0, 60_000])
    where = {"policy": "redis", "redis_host": "127.0.0.1", "sync_interval": 1}
    rules = [{"actions": [["limit-count", {**LIMIT, **where}]]}]
    filter = build_chain({"workflow": {"rules": rules}}, Env(counts=counts)).steps[0].filter
    assert isinstance(filter, Workflow)
    assert counts.decide(filter.access(request())) is None
    refused = filter.access(request())
    assert isinstance(refused, Reply) and refused.status == 429
    filter.close()
    assert [arguments[0] for _, _, arguments in counts.asked] == ["0", "1"]
