import asyncio
import gc
import weakref

from userspace.proxy.wheel import Timed, Wheel

TICK = 0.005


class Alarm(Timed):
    __slots__ = ("__weakref__", "rung", "when")

    def __init__(self) -> None:
        super().__init__()
        self.rung = asyncio.Event()
        self.when = 0.0

    def expired(self) -> None:
        self.when = asyncio.get_running_loop().time()
        self.rung.set()


async def ring(wheel: Wheel, *alarms: Alarm) -> None:
    async with asyncio.timeout(5):
        for alarm in alarms:
            await alarm.rung.wait()


async def test_a_deadline_fires_once_and_never_early() -> None:
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop, TICK)
    wheel.start()
    alarm = Alarm()
    begun = loop.time()
    wheel.set(alarm, wheel.ticks(0.05))
    await ring(wheel, alarm)
    assert alarm.when - begun >= 0.05 - 0.001  # uvloop's clock counts whole milliseconds
    assert (alarm.deadline, alarm.filed) == (0, 0)
    wheel.stop()


async def test_a_deadline_can_move_both_ways_and_be_cleared() -> None:
    wheel = Wheel(asyncio.get_running_loop(), TICK)
    wheel.start()
    later, sooner, cleared, removed, last = Alarm(), Alarm(), Alarm(), Alarm(), Alarm()
    wheel.set(later, 3)
    wheel.set(later, 20)
    wheel.set(sooner, 2000)
    wheel.set(sooner, 3)
    wheel.set(cleared, 3)
    cleared.deadline = 0
    wheel.set(removed, 3)
    wheel.remove(removed)
    wheel.set(last, 30)
    await ring(wheel, sooner, later, last)
    assert sooner.when < later.when < last.when
    assert not cleared.rung.is_set() and not removed.rung.is_set()
    wheel.stop()


async def test_an_alarm_can_set_itself_anew_while_it_fires() -> None:
    wheel = Wheel(asyncio.get_running_loop(), TICK)
    wheel.start()

    class Again(Alarm):
        __slots__ = ("left",)

        def expired(self) -> None:
            self.left -= 1
            if self.left:
                wheel.set(self, 1)
            else:
                self.rung.set()

    again = Again()
    again.left = 4
    wheel.set(again, 1)
    await ring(wheel, again)
    wheel.stop()


def test_nothing_is_kept_alive_after_remove() -> None:
    loop = asyncio.new_event_loop()
    wheel = Wheel(loop, TICK)
    alarm = Alarm()
    wheel.set(alarm, 1000)
    wheel.set(alarm, 10)
    wheel.remove(alarm)
    gone = weakref.ref(alarm)
    del alarm
    gc.collect()
    assert gone() is None
    loop.close()


def test_seconds_are_rounded_up_to_ticks() -> None:
    loop = asyncio.new_event_loop()
    wheel = Wheel(loop, 0.1)
    assert [wheel.ticks(seconds) for seconds in (0.0, 0.1, 0.11, 1.0)] == [2, 2, 3, 11]
    loop.close()
