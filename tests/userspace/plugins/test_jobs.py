from userspace.plugins.jobs import ONCE, FileJob


def test_a_job_is_tried_once_unless_it_says_otherwise() -> None:
    assert FileJob("/x", b"").attempts is ONCE and ONCE.retries == 0
