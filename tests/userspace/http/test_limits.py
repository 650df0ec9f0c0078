import pytest

from userspace.http.limits import DEFAULT_LIMITS, Limits


def test_the_defaults_fit_a_browser_and_stop_a_flood() -> None:
    assert (DEFAULT_LIMITS.max_head_bytes, DEFAULT_LIMITS.max_headers) == (16384, 100)


def test_only_the_body_may_be_unlimited() -> None:
    assert Limits(max_body_bytes=0).max_body_bytes == 0
    with pytest.raises(ValueError, match="max_headers must be at least 1"):
        Limits(max_headers=0)
    with pytest.raises(ValueError, match="max_body_bytes must be at least 0"):
        Limits(max_body_bytes=-1)
