"""Ticks of a tenth of a second, ten seconds at most, ten bytes per second: a byte is worth a tick."""

from userspace.proxy.body_pace import BodyPace


def pace() -> BodyPace:
    return BodyPace(100, 10, 10.0)


def test_who_says_nothing_has_the_whole_time() -> None:
    one = pace()
    assert one.wait(5, 0) == 101
    assert one.is_silent(105) and not one.is_silent(104)


def test_single_bytes_buy_no_more_than_they_are_worth() -> None:
    one = pace()
    now, size = 0, 0
    left = one.wait(now, size)
    while left > 5:
        now, size = now + 5, size + 1
        left = one.wait(now, size)
    assert 120 <= now <= 130 and not one.is_silent(now + left)


def test_who_keeps_the_rate_may_go_on_forever_but_saves_nothing() -> None:
    one = pace()
    for step in range(1000):
        assert one.wait(step * 50, step * 50) >= 51
    one.wait(50_000, 1_000_000)
    assert one.wait(50_010, 1_000_000) == 91


def test_time_in_which_nobody_waits_costs_nothing() -> None:
    one = pace()
    one.wait(0, 0)
    one.hold(10)
    one.hold(500)
    assert one.wait(1000, 0) == 91
    assert not one.is_silent(1050)
