"""Who is here at the same time."""

from tests.userspace.plugins.counts import Counts
from userspace.plugins.count_scripts import ENTER, LEAVE
from userspace.plugins.counting import Servers
from userspace.plugins.env import Env
from userspace.plugins.outcome import Asked, Outcome
from userspace.plugins.presence import LocalPresence, Places, Presence, RemotePresence

SERVERS = Servers("redis", (("127.0.0.1", 1),))


class Seen:
    def __init__(self) -> None:
        self.counts: list[float | None] = []

    def __call__(self, count: float | None) -> Outcome:
        self.counts.append(count)
        return None


def enter(presence: Presence, seen: Seen) -> Places:
    places = Places()
    assert presence.enter(places, "k", 2, seen) is None
    return places


def test_on_this_machine_there_is_room_for_so_many_and_again_when_one_leaves() -> None:
    presence, seen = LocalPresence(Env()), Seen()
    first, _, refused = (enter(presence, seen) for _ in range(3))
    presence.leave(refused)
    presence.leave(first)
    presence.leave(first)
    enter(presence, seen)
    assert seen.counts == [1, 2, 3, 2]


def test_in_redis_each_has_a_name_of_its_own_and_leaves_by_it() -> None:
    counts, seen = Counts([1, 1], [1, 2], [0, 3], [1], [1]), Seen()
    presence = RemotePresence(Env(counts=counts), SERVERS, 3600)
    all_places = [Places() for _ in range(3)]
    for places in all_places:
        assert counts.decide(presence.enter(places, "k", 2, seen)) is None
    assert seen.counts == [1, 2, 3]
    names = [arguments[2] for _, _, arguments in counts.asked]
    assert len(set(names)) == 3 and counts.asked[0] == (ENTER, "k", ("2", "3600", names[0]))
    for places in all_places:
        presence.leave(places)
        presence.leave(places)
    assert counts.asked[3:] == [(LEAVE, "k", (names[0],)), (LEAVE, "k", (names[1],))]


def test_one_that_leaves_before_it_was_let_in_gives_back_what_it_still_gets() -> None:
    counts, places = Counts([1, 1]), Places()
    presence = RemotePresence(Env(counts=counts), SERVERS, 60)
    outcome = presence.enter(places, "k", 2, Seen())
    assert isinstance(outcome, Asked)
    outcome.begin(lambda answer: None)
    presence.leave(places)
    assert len(counts.asked) == 1
    counts.answer()
    assert [script for script, _, _ in counts.asked] == [ENTER, LEAVE]


def test_without_an_answer_it_may_be_there_so_it_leaves_all_the_same() -> None:
    counts, seen, places = Counts(None), Seen(), Places()
    presence = RemotePresence(Env(counts=counts), SERVERS, 60)
    counts.decide(presence.enter(places, "k", 2, seen))
    presence.leave(places)
    assert seen.counts == [None] and counts.asked[1][0] == LEAVE
