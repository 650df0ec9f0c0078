"""What workers count together, how many keys there is room for, and what a lock covers."""

import multiprocessing
import os

from userspace.tally import WIDTH, Numbers, Tally, shared_memory

FAR = 1e9


def add(tally: Tally, key: str, now: float = 0.0, expires: float = FAR) -> float:
    found: list[float] = []

    def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
        found.append(numbers[0] + 1 if numbers is not None else 1.0)
        return (found[0], 0.0, 0.0), expires

    tally.change(key, now, one_more)
    return found[0]


def test_keys_are_counted_apart_and_forgotten_when_they_expire() -> None:
    tally = Tally()
    assert [add(tally, "a", expires=10), add(tally, "a", expires=10), add(tally, "b")] == [1, 2, 1]
    assert tally.read("a", 9.9) == (2, 0, 0)
    assert tally.read("a", 10) is None and add(tally, "a", now=10) == 1


def test_a_change_may_forget_or_leave_alone() -> None:
    tally = Tally()
    tally.change("a", 0, lambda numbers: None)
    assert tally.read("a", 0) is None
    add(tally, "a")
    tally.change("a", 0, lambda numbers: None)
    assert tally.read("a", 0) is None


def test_a_full_bucket_gives_up_what_expires_first_and_counts_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("userspace.tally.BUCKETS", 1)
    tally = Tally()
    for number in range(WIDTH):
        add(tally, str(number), expires=100 - number)
    assert tally.evicted == 0
    assert add(tally, "one more", expires=200) == 1
    assert tally.evicted == 1
    assert [tally.read(str(number), 0) is None for number in range(WIDTH)] == [False] * (WIDTH - 1) + [True]


def test_two_processes_lose_no_count() -> None:
    fd = shared_memory()
    tally = Tally(fd)
    child = multiprocessing.get_context("fork").Process(target=_count, args=(fd, 2000))
    child.start()
    for _ in range(2000):
        add(tally, "both")
    child.join()
    assert tally.read("both", 0) == (4000, 0, 0)
    os.close(fd)


def _count(fd: int, times: int) -> None:
    tally = Tally(fd)
    for _ in range(times):
        add(tally, "both")
