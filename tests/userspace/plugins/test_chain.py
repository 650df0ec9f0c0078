"""Which filters a set of plugins becomes, in which order, and what they keep when the set changes."""

from typing import Any

import orjson
import pytest

from tests.requests import request
from userspace.plugins.chain import BROKEN, EMPTY, Broken, build_chain, merged
from userspace.plugins.env import Env

KEY: dict[str, Any] = {}


def test_filters_run_from_the_highest_priority_to_the_lowest_and_by_name_among_equals() -> None:
    delay = {"delay": {"duration": 0}}
    assert _names({"key-auth": {}, "fault-injection": delay}) == ["fault-injection", "key-auth"]
    assert _names({"key-auth": {"_meta": {"priority": 20000}}, "fault-injection": delay}) == [
        "key-auth",
        "fault-injection",
    ]
    assert _names({"key-auth": {"_meta": {"priority": 11000}}, "fault-injection": delay}) == [
        "fault-injection",
        "key-auth",
    ]


def _names(plugins: dict[str, Any]) -> list[str]:
    return [step.name for step in build_chain(plugins, Env()).steps]


def test_a_phase_that_no_filter_has_costs_nothing() -> None:
    chain = build_chain({"key-auth": KEY}, Env())
    assert [step.name for step in chain.rewrite] == ["key-auth"]
    assert (chain.access, chain.before_proxy, chain.header_filter, chain.log) == ((), (), (), ())


def test_disabled_plugins_are_left_out() -> None:
    assert build_chain({"key-auth": {"_meta": {"disable": True}}}, Env()) is EMPTY


def test_defaults_of_the_schema_are_filled_in() -> None:
    [step] = build_chain({"key-auth": KEY}, Env()).steps
    assert step.filter.conf["header"] == "apikey"
    assert step.conf == {}


def test_a_filter_stays_while_its_configuration_does() -> None:
    env = Env()
    first = build_chain({"key-auth": KEY}, env)
    same = build_chain({"key-auth": {}, "fault-injection": {"delay": {"duration": 0}}}, env, first)
    other = build_chain({"key-auth": {"header": "x"}}, env, first)
    before = first.steps[0].filter
    assert before in [step.filter for step in same.steps]
    assert other.steps[0].filter is not before


def test_closing_a_chain_spares_what_its_successor_took_over(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Env()
    closed: list[str] = []
    first = build_chain({"key-auth": KEY}, env)
    monkeypatch.setattr(type(first.steps[0].filter), "close", lambda self: closed.append("key-auth"))
    first.close(build_chain({"key-auth": KEY}, env, first))
    assert closed == []
    first.close(EMPTY)
    assert closed == ["key-auth"]


def test_a_plugin_that_cannot_be_made_answers_503_and_says_why() -> None:
    told: list[str] = []
    chain = build_chain({"key-auth": {"header": 5}}, Env(), EMPTY, told.append)
    [step] = chain.steps
    assert isinstance(step.filter, Broken)
    assert step.filter.rewrite(request()) is BROKEN
    assert told[0].startswith("plugin key-auth: AttributeError")


def test_of_a_plugin_that_both_have_the_consumers_counts() -> None:
    env = Env()
    route = build_chain({"key-auth": KEY, "fault-injection": {"delay": {"duration": 1}}}, env)
    consumer = build_chain({"fault-injection": {"delay": {"duration": 2}}}, env)
    both = {step.name: step.filter.conf for step in merged(route, consumer).steps}
    assert both["fault-injection"]["delay"]["duration"] == 2
    assert both.keys() == {"key-auth", "fault-injection"}


def test_a_conditions_and_an_error_answer_come_from_meta() -> None:
    meta = {"filter": [["arg_x", "==", "1"]], "error_response": {"error": "no"}}
    [step] = build_chain({"key-auth": {"_meta": meta}}, Env()).steps
    assert step.condition is not None and step.condition(request(target="/?x=1"))
    assert not step.condition(request(target="/?x=2"))
    assert step.answer is not None and orjson.loads(step.answer[0]) == {"error": "no"}


def test_a_chain_with_a_filter_on_the_body_has_it_read_beforehand() -> None:
    def on(variable: str) -> bool:
        meta = {"_meta": {"filter": ["OR", ["arg_a", "==", "1"], [[variable, "!", "==", "2"]]]}}
        return build_chain({"key-auth": meta}, Env()).inspects_body

    assert on("post_arg.a") and on("graphql_name")
    assert not on("arg_b") and not build_chain({"key-auth": {}}, Env()).inspects_body
