import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said


@pytest.mark.parametrize(
    ("most", "field", "status"),
    [
        (5, "Content-Length: 6", 413),
        (5, "Content-Length: 5", 0),
        (0, "Content-Length: 6", 0),
        (None, "Content-Length: 6", 0),
        (5, "Transfer-Encoding: chunked", 0),
    ],
)
def test_a_body_that_says_it_is_too_long_is_refused(most: int | None, field: str, status: int) -> None:
    one = request("POST", "/", field)
    conf = {} if most is None else {"max_body_size": most}
    assert said(filter_of("client-control", conf).rewrite(one))[0] == status
    assert one.max_body_bytes == (most or 0)
