"""One target under watch."""

from tests.userspace.health.upstreams import target, upstream
from userspace.health.state import Health, Outcome, Status
from userspace.health.targets import targets_of
from userspace.health.watch import Watch


def test_the_interval_is_that_of_its_state() -> None:
    watch = Watch(target("10.0.0.1:80", healthy={"interval": 5}, unhealthy={"interval": 2}))
    assert watch.interval == 5
    watch.health = Health(Status.MOSTLY_UNHEALTHY)
    assert watch.interval == 2


def test_active_and_passive_outcomes_share_counters_and_have_their_own_limits() -> None:
    passive = {"unhealthy": {"tcp_failures": 4}}
    (found,) = targets_of(upstream({"10.0.0.1:80": 1}, passive=passive, unhealthy={"tcp_failures": 2})).values()
    watch = Watch(found)
    assert watch.take(Outcome.TCP, "refused", is_passive=True)
    assert watch.why == "refused (tcp_failure 1 of 4)" and watch.health.is_up
    assert watch.take(Outcome.TCP, "refused", is_passive=False)
    assert watch.why == "refused (tcp_failure 2 of 2)" and not watch.health.is_up
    assert not watch.take(Outcome.TCP, "refused", is_passive=False)


def test_a_row_says_everything() -> None:
    watch = Watch(target("10.0.0.1:80", host="h.example"))
    watch.take(Outcome.TIMEOUT, "request: timed out", is_passive=False)
    watch.ejected = frozenset({"10.0.0.1:80"})
    names = ["u", "10.0.0.1", 80, "h.example", ["10.0.0.1:80"]]
    state = ["mostly_healthy", 0, 0, 0, 1, "request: timed out (timeout_failure 1 of 3)", ["10.0.0.1:80"]]
    assert watch.row() == [*names, *state]
