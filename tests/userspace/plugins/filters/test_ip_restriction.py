from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said


@pytest.mark.parametrize(
    ("conf", "address", "passes"),
    [
        ({"whitelist": ["127.0.0.0/24"]}, "127.0.0.9", True),
        ({"whitelist": ["127.0.0.0/24"]}, "127.0.1.9", False),
        ({"whitelist": ["127.0.0.7/24"]}, "127.0.0.9", True),
        ({"whitelist": ["::1", "fe80::/32"]}, "::1", True),
        ({"whitelist": ["::1"]}, "127.0.0.1", False),
        ({"blacklist": ["1.1.1.1"]}, "1.1.1.1", False),
        ({"blacklist": ["1.1.1.1"]}, "1.1.1.2", True),
        ({"whitelist": ["1.1.1.1"]}, "unix:", False),
    ],
)
def test_which_addresses_pass(conf: dict[str, Any], address: str, passes: bool) -> None:
    one = request()
    one.remote_addr = address
    expected = (0, "") if passes else (403, '{"message":"Your IP address is not allowed"}\n')
    assert said(filter_of("ip-restriction", conf).access(one)) == expected


def test_the_refusal_can_be_worded() -> None:
    conf = {"blacklist": ["192.0.2.0/24"], "response_code": 404, "message": "no"}
    assert said(filter_of("ip-restriction", conf).access(request())) == (404, '{"message":"no"}\n')
