"""The Date of answers."""

from userspace.proxy.dates import Dates


def test_the_date_is_that_of_the_present_second() -> None:
    now = 784111777.9
    dates = Dates(lambda: now)
    assert dates.value == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert dates.value is dates.value
    now += 0.2
    assert dates.line == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
