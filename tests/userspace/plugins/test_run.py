"""The order of the phases, waiting, answers, and what a consumer adds."""

from typing import Any

from control.model.consumer import Consumer
from tests.requests import request
from userspace.http.request import Request
from userspace.plugins.chain import EMPTY, Chain, Step, merged
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter
from userspace.plugins.outcome import JSON, Asked, Outcome, Reply, Wait
from userspace.plugins.run import Run, holds
from userspace.routing.expr import compile_expression


def step(name: str, rewrite: Any = None, access: Any = None, priority: int = 0, **more: Any) -> Step:
    """A step whose phases note that they ran, and decide what they are given."""

    class Told(Filter):
        NAME = name

        def rewrite(self, request: Request) -> Outcome:
            request.state.setdefault("ran", []).append(f"{name}.rewrite")
            return rewrite(request) if callable(rewrite) else rewrite

        def access(self, request: Request) -> Outcome:
            request.state.setdefault("ran", []).append(f"{name}.access")
            return access  # type: ignore[no-any-return]

    return Step(name, priority, {}, Told({}, Env()), more.get("condition"), more.get("answer"))


def through(run: Run, has_route: bool = True) -> tuple[list[Wait], Reply | None, list[str]]:
    waits = []
    decision = run.decide(has_route)
    while True:
        try:
            waits.append(next(decision))
        except StopIteration as end:
            return waits, end.value, run.request.state.get("ran", [])


def test_global_rules_come_before_the_route_in_each_phase() -> None:
    run = Run(request(), Chain([step("g")]), Chain([step("b"), step("a", priority=1)]), lambda consumer: EMPTY)
    assert through(run) == ([], None, ["g.rewrite", "a.rewrite", "b.rewrite", "g.access", "a.access", "b.access"])


def test_without_a_route_only_the_global_rules_run() -> None:
    run = Run(request(), Chain([step("g")]), EMPTY, lambda consumer: EMPTY)
    assert through(run, has_route=False)[2] == ["g.rewrite", "g.access"]


def test_an_answer_ends_it() -> None:
    run = Run(request(), EMPTY, Chain([step("a", Reply(403), priority=1), step("b")]), lambda consumer: EMPTY)
    assert through(run) == ([], Reply(403), ["a.rewrite"])


def test_what_somebody_else_is_asked_for_is_the_answer() -> None:
    asked = Asked(lambda answered: None)
    run = Run(request(), EMPTY, Chain([step("a", asked), step("b")]), lambda consumer: EMPTY)
    decision = run.decide(True)
    assert next(decision) is asked
    try:
        decision.send(Reply(200, b"told"))
    except StopIteration as end:
        assert end.value == Reply(200, b"told")
    assert run.request.state["ran"] == ["a.rewrite"]


def test_a_step_of_a_global_rule_that_yields_leaves_it_to_the_route_that_has_it() -> None:
    yielding = step("a")._replace(yields=True)
    rules = Chain([yielding, step("b")])
    run = Run(request(), rules, Chain([step("a", access=Reply(200)), step("b")]), lambda consumer: EMPTY)
    assert through(run)[2] == ["b.rewrite", "a.rewrite", "b.rewrite", "b.access", "a.access"]
    run = Run(request(), rules, Chain([step("c")]), lambda consumer: EMPTY)
    assert through(run)[2][:2] == ["a.rewrite", "b.rewrite"]


def test_a_wait_goes_on_or_answers() -> None:
    later, answer = Wait(1), Wait(2, Reply(503))
    run = Run(request(), EMPTY, Chain([step("a", later, answer), step("b")]), lambda consumer: EMPTY)
    assert through(run) == ([later, answer], Reply(503), ["a.rewrite", "b.rewrite", "a.access"])


def test_a_filter_whose_condition_does_not_hold_is_left_out() -> None:
    run = Run(request(), EMPTY, Chain([step("a", condition=lambda request: False), step("b")]), lambda consumer: EMPTY)
    assert through(run)[2] == ["b.rewrite", "b.access"]


def test_an_error_is_worded_as_meta_says_but_keeps_its_other_headers() -> None:
    worded = (b'{"e":1}\n', JSON)
    refusal = Reply(401, b"x", ((b"Content-Type", b"text/plain"), (b"WWW-Authenticate", b"y")))
    run = Run(request(), EMPTY, Chain([step("a", refusal, answer=worded)]), lambda consumer: EMPTY)
    assert through(run)[1] == Reply(401, b'{"e":1}\n', (JSON, (b"WWW-Authenticate", b"y")))
    passed = Run(request(), EMPTY, Chain([step("a", Reply(302), answer=worded)]), lambda consumer: EMPTY)
    assert through(passed)[1] == Reply(302)


def test_what_a_consumer_adds_has_its_turn_and_what_it_replaces_does_not_run_twice() -> None:
    def identify(request: Request) -> None:
        request.consumer = Consumer("jack")

    route = Chain([step("auth", identify, priority=9), step("both")])
    theirs = Chain([step("both"), step("own")])
    run = Run(request(), EMPTY, route, lambda consumer: merged(route, theirs))
    assert through(run)[2] == [
        "auth.rewrite", "both.rewrite", "own.rewrite", "auth.access", "both.access", "own.access",
    ]  # fmt: skip


def test_a_consumer_with_a_missing_part_is_answered() -> None:
    def identify(request: Request) -> None:
        request.consumer = Consumer("jack")

    run = Run(request(), EMPTY, Chain([step("auth", identify)]), lambda consumer: Reply(503))
    assert through(run)[1:] == (Reply(503), ["auth.rewrite"])


def test_a_filter_on_a_body_that_nobody_read_does_not_hold() -> None:
    posted = request("POST", "/", "Content-Length: 5", "Content-Type: application/x-www-form-urlencoded")
    condition = compile_expression([["post_arg_a", "==", "1"]])
    assert not holds(condition, posted)
    posted.body = b"a=1"
    assert holds(condition, posted)
