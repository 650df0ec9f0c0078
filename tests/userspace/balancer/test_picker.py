from tests.userspace.balancer.members import endpoints
from userspace.balancer.picker import NOBODY, Member


def test_who_has_nobody_to_choose_picks_nobody() -> None:
    [endpoint] = endpoints(1)
    assert NOBODY.pick() is None
    NOBODY.began(endpoint)
    NOBODY.ended(endpoint, None)
    assert list(NOBODY.leaves()) == [NOBODY]
    assert not NOBODY.wants_key and not NOBODY.wants_feedback


def test_a_member_is_warm_unless_said_otherwise() -> None:
    [endpoint] = endpoints(5)
    assert Member(endpoint, 5).share == 1
