"""Windows in Redis that requests do not wait for."""

import pytest

from tests.userspace.plugins.counts import Counts
from tests.userspace.plugins.outbox import Kept
from userspace.plugins import delayed_windows as module
from userspace.plugins.counting import Answer, Servers
from userspace.plugins.delayed_windows import DelayedWindows
from userspace.plugins.env import Env
from userspace.plugins.outcome import Asked, Outcome
from userspace.plugins.quota import Quota, RemoteWindows

SERVERS = Servers("redis", (("127.0.0.1", 1),))


class Machine:
    """One gateway: what it lets pass stands in `remaining`."""

    def __init__(self, *answers: Answer) -> None:
        self.now = 1000.0
        self.counts = Counts(*answers)
        self.box = Kept()
        self.env = Env(counts=self.counts, outbox=self.box, clock=lambda: self.now)
        self.windows = DelayedWindows(self.env, RemoteWindows(self.env, SERVERS, False), 0.5)
        self.remaining: list[float | None] = []

    def take(self, key: str = "k", window: float = 60) -> bool:
        """Whether Redis was asked before it was decided."""

        def then(quota: Quota | None) -> Outcome:
            self.remaining.append(None if quota is None else quota.remaining)
            return None

        outcome = self.windows.take(key, 5, window, then)
        self.counts.decide(outcome)
        return isinstance(outcome, Asked)

    def costs(self) -> list[str]:
        return [arguments[0] for _, _, arguments in self.counts.asked]


def test_the_first_request_asks_what_is_left_and_the_next_ones_know() -> None:
    machine = Machine([2, 60_000])
    assert [machine.take() for _ in range(4)] == [True, False, False, False]
    assert machine.remaining == [2, 1, 0, -1] and machine.costs() == ["0"]


def test_redis_is_told_once_per_interval_what_was_let_pass_and_what_the_others_did_counts() -> None:
    machine = Machine([0, 60_000], [4, 59_500])
    machine.take()
    machine.take()
    assert len(machine.box.waiting) == 1
    machine.box.fire()
    machine.counts.answer()
    assert machine.costs() == ["0", "2"]
    assert not machine.take() and machine.remaining[-1] == 0  # two of another gateway's
    assert not machine.take() and machine.remaining[-1] == -1


def test_what_was_refused_is_not_told() -> None:
    machine = Machine([5, 60_000], [5, 60_000])
    machine.take()
    machine.box.fire()
    assert machine.remaining == [-1] and machine.costs() == ["0", "0"]


def test_what_redis_was_not_told_is_told_the_next_time() -> None:
    machine = Machine([0, 60_000])
    machine.take()
    machine.box.fire()
    machine.counts.answer()  # nobody
    machine.take()
    machine.box.fire()
    assert machine.costs() == ["0", "1", "2"] and machine.remaining == [4, 3]


def test_a_window_that_is_over_is_asked_for_anew() -> None:
    machine = Machine([0, 2_000], [0, 60_000])
    machine.take()
    machine.now += 2.5
    assert machine.take() and machine.remaining == [4, 4]


def test_a_window_that_an_interval_covers_is_asked_for_each_time() -> None:
    machine = Machine([1, 400], [2, 400])
    assert [machine.take(window=0.4) for _ in range(2)] == [True, True]
    assert machine.costs() == ["1", "1"] and not machine.box.waiting


def test_without_an_answer_this_machine_counts_by_itself_until_there_is_one() -> None:
    machine = Machine(None, None, [3, 60_000])
    assert [machine.take() for _ in range(4)] == [True, True, True, False]
    assert machine.remaining == [4, 3, 1, 0] and machine.costs() == ["0"] * 3


def test_what_is_known_is_good_while_nobody_answers() -> None:
    machine = Machine([3, 60_000])
    machine.take()
    machine.box.fire()
    machine.counts.answer()  # nobody
    assert [machine.take() for _ in range(2)] == [False, False] and machine.remaining == [1, 0, -1]


def test_what_is_over_tells_at_once() -> None:
    machine = Machine([0, 60_000])
    machine.take()
    machine.windows.close()
    assert machine.costs() == ["0", "1"]
    machine.take()
    assert machine.costs() == ["0", "1", "1"]


def test_only_so_many_keys_are_told_of_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOUCHED", 1)
    machine = Machine([0, 60_000], [0, 60_000])
    machine.take("a")
    machine.take("b")
    machine.box.fire()
    assert [key for _, key, _ in machine.counts.asked] == ["a", "b", "a"]
