"""Windows: in the memory of this machine, and as they are asked for in Redis."""

from tests.userspace.plugins.counts import Counts
from userspace.plugins.count_scripts import FIXED, SLIDING
from userspace.plugins.counting import Answer, Servers
from userspace.plugins.env import Env
from userspace.plugins.outcome import Asked, Outcome
from userspace.plugins.quota import LocalWindows, Quota, RemoteWindows

SERVERS = Servers("redis", (("127.0.0.1", 1),))


class Seen:
    """Keeps the quotas that decide."""

    def __init__(self) -> None:
        self.quotas: list[Quota | None] = []

    def __call__(self, quota: Quota | None) -> Outcome:
        self.quotas.append(quota)
        return None


def remote(is_sliding: bool, *answers: Answer) -> tuple[Counts, Quota | None]:
    counts, seen = Counts(*answers), Seen()
    windows = RemoteWindows(Env(counts=counts), SERVERS, is_sliding)
    assert counts.decide(windows.take("k", 5, 60, seen)) is None
    return counts, seen.quotas[0]


def test_a_fixed_window_is_known_at_once_here() -> None:
    now, seen = [1000.0], Seen()
    windows = LocalWindows(Env(clock=lambda: now[0]), is_sliding=False)
    for step in (0, 59.5, 1):
        now[0] += step
        assert windows.take("k", 1, 60, seen) is None
    assert seen.quotas == [Quota(1, 0, 60), Quota(1, -1, 1), Quota(1, 0, 60)]


def test_a_sliding_window_says_when_there_is_room_again() -> None:
    now, seen = [1200.0], Seen()
    windows = LocalWindows(Env(clock=lambda: now[0]), is_sliding=True)
    for at in (1200.0, 1200.0, 1230.0, 1260.0, 1275.0, 1275.0):
        now[0] = at
        windows.take("k", 2, 60, seen)
    # At 1260 the window before counts in full; at 1275 three quarters of it do, and half a request has room.
    assert [(quota.remaining, quota.reset) for quota in seen.quotas if quota] == [
        *((1, 60), (0, 60), (-1, 30), (-1, 0), (0, 45), (-1, 15))
    ]


def test_in_redis_the_window_is_in_milliseconds_and_the_answer_in_hundredths() -> None:
    counts, quota = remote(False, [2, 59_996])
    assert counts.asked == [(FIXED, "k", ("1", "60000"))] and quota == Quota(5, 3, 59.99)
    assert remote(False, [6, 10])[1] == Quota(5, -1, 0.01)


def test_in_redis_a_sliding_window_takes_what_has_room() -> None:
    counts, quota = remote(True, [1, b"1.75", b"12.345"])
    assert counts.asked == [(SLIDING, "k", ("1", "5", "60", "if"))] and quota == Quota(5, 1, 12.34)
    assert remote(True, [1, b"-0.25", b"12"])[1] == Quota(5, 0, 12)
    assert remote(True, [0, b"-1", b"7.5"])[1] == Quota(5, -1, 7.5)


def test_without_an_answer_nobody_knows() -> None:
    assert remote(False, None)[1] is None
    seen = Seen()
    outcome = RemoteWindows(Env(), SERVERS, False).take("k", 5, 60, seen)
    assert isinstance(outcome, Asked)
    answers: list[Quota | None] = []
    outcome.begin(answers.append)
    assert answers == [None]
