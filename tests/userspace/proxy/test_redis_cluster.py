"""Which node of a cluster is asked: cases that need no server."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import pytest

from tests.userspace.proxy.redis_stage import ADD
from userspace.plugins.counting import CLUSTER, Address, Answer, Servers
from userspace.proxy.redis_cluster import (
    LOOK_AGAIN,
    MAX_HOPS,
    Around,
    ClusterQuestion,
    Range,
    RedisCluster,
    slot_of,
)
from userspace.proxy.redis_question import Lost, Question, Sent

A, B, C = ("a", 1), ("b", 1), ("c", 1)
HALVES: list[Range] = [(8192, 16383, B), (0, 8191, A)]
LOW, HIGH = "b", "a"  # slots 3300 and 15495


class Cluster:
    """`told` is what the nodes say of who has what: ranges, or an error. `put`, `failed`, `refused`: what became of
    questions; `looked`: who was asked."""

    def __init__(self, **told: list[Range] | Exception) -> None:
        self.now = 0.0
        self.told = told
        self.looked: list[str] = []
        self.put_to: list[tuple[Address, Question]] = []
        self.failed: list[tuple[Question, Exception]] = []
        self.refused: list[Question] = []
        around = Around(lambda: self.now, self._spawn, self._put, self._look_up, self._fail, self.refused.append)
        servers = Servers(CLUSTER, (A, B), password="p")
        self.cluster = RedisCluster(servers, around, max_waiting=2)
        self.work: list[Coroutine[Any, Any, None]] = []

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.work.append(work)

    def _put(self, servers: Servers, question: Question) -> None:
        assert (servers.policy, servers.password) == ("redis", "p")
        self.put_to.append((servers.addresses[0], question))

    async def _look_up(self, node: Servers) -> Iterable[Range]:
        host = node.addresses[0][0]
        self.looked.append(host)
        told = self.told.get(host, OSError(f"{host} is gone"))
        if isinstance(told, Exception):
            raise told
        return told

    def _fail(self, servers: Servers, questions: Sequence[Question], error: Exception) -> None:
        self.failed += [(question, error) for question in questions]

    def ask(self, key: str = LOW) -> ClusterQuestion:
        question = ClusterQuestion(self.cluster, ADD, key, (), _nothing)
        self.cluster.put(question)
        return question

    def look(self) -> None:
        """Let it finish what it looks up."""
        work, self.work = self.work, []
        for look in work:
            asyncio.run(look)

    def nodes(self) -> list[str]:
        """The hosts that were asked since the last time."""
        put, self.put_to = self.put_to, []
        return [host for (host, _), _ in put]


def _nothing(answer: Answer) -> None:
    pass


def known(**told: list[Range] | Exception) -> Cluster:
    cluster = Cluster(**{"a": HALVES, **told})
    cluster.ask()
    cluster.look()
    assert cluster.nodes() == ["a"] and cluster.looked == ["a"]
    return cluster


@pytest.mark.parametrize(
    ("key", "slot"), [(b"123456789", 12739), (b"foo", 12182), (b"{foo}.x", 12182), (b"{}foo", 9500), (b"a{foo", 113)]
)
def test_keys_have_their_slots(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


def test_while_nobody_has_told_who_has_what_questions_wait_and_one_looks() -> None:
    cluster = Cluster(a=HALVES)
    cluster.ask(LOW)
    cluster.ask(HIGH)
    late = cluster.ask(LOW)
    assert cluster.nodes() == [] and cluster.refused == [late] and len(cluster.work) == 1
    cluster.look()
    assert cluster.nodes() == ["a", "b"] and not cluster.cluster.waiting
    cluster.ask(HIGH)
    assert cluster.nodes() == ["b"] and not cluster.work


def test_the_next_node_is_asked_when_one_is_gone() -> None:
    cluster = Cluster(b=HALVES)
    cluster.ask()
    cluster.look()
    assert cluster.looked == ["a", "b"] and cluster.nodes() == ["a"]


def test_when_all_are_gone_nobody_waits_and_they_are_asked_again_in_a_while() -> None:
    cluster = Cluster()
    question = cluster.ask()
    cluster.look()
    assert [(failed, str(error)) for failed, error in cluster.failed] == [(question, "b is gone")]
    assert cluster.refused == [cluster.ask()]
    cluster.now += LOOK_AGAIN
    cluster.told = {"a": HALVES}
    cluster.ask()
    cluster.look()
    assert cluster.nodes() == ["a"]


def test_a_slot_that_no_node_has_is_not_asked_for() -> None:
    cluster = Cluster(a=[(0, 100, A), (8192, 16383, B)])
    question = cluster.ask(LOW)
    cluster.ask(HIGH)
    cluster.look()
    assert cluster.nodes() == ["b"]
    assert [(failed, str(error)) for failed, error in cluster.failed] == [(question, "no node has this key")]


def test_a_key_that_has_moved_is_asked_for_there_and_who_has_what_is_looked_up_anew() -> None:
    cluster = known()
    question = cluster.ask()
    assert cluster.nodes() == ["a"]
    cluster.now += LOOK_AGAIN
    cluster.told = {"a": [(0, 16383, C)]}
    assert question.takes_back(Sent(C, is_once=False)) and not question.is_let_in
    assert cluster.nodes() == ["c"]
    cluster.look()
    cluster.ask(HIGH)
    assert cluster.nodes() == ["c"]


def test_while_a_slot_moves_its_key_is_let_in_where_it_goes() -> None:
    cluster = known()
    question = cluster.ask()
    assert question.takes_back(Sent(C, is_once=True)) and question.is_let_in
    assert cluster.nodes() == ["a", "c"]
    assert question.takes_back(Sent(B, is_once=False)) and not question.is_let_in


def test_a_question_is_not_sent_around_for_ever() -> None:
    cluster = known()
    question = cluster.ask()
    assert [question.takes_back(Sent(C, is_once=False)) for _ in range(MAX_HOPS + 1)] == [True] * MAX_HOPS + [False]


def test_a_node_that_is_lost_may_have_a_successor() -> None:
    cluster = known()
    question = cluster.ask()
    cluster.now += LOOK_AGAIN
    cluster.told = {"b": [(0, 8191, C), (8192, 16383, B)]}
    assert not question.takes_back(Lost("gone"))
    cluster.look()
    cluster.nodes()
    cluster.ask()
    assert cluster.nodes() == ["c"] and cluster.looked == ["a", "a", "b"]


def test_one_look_at_a_time_and_so_many_per_second() -> None:
    cluster = known()
    question = cluster.ask()
    assert not question.takes_back(Lost("gone")) and not cluster.work
    cluster.now += LOOK_AGAIN
    assert not question.takes_back(Lost("gone")) and not question.takes_back(Lost("gone"))
    assert len(cluster.work) == 1 and not cluster.cluster.is_idle
    cluster.look()


def test_a_node_without_a_host_is_the_one_that_says_so() -> None:
    cluster = Cluster(a=[(0, 16383, ("", 9))])
    cluster.ask()
    cluster.look()
    assert [address for address, _ in cluster.put_to] == [("a", 9)]
