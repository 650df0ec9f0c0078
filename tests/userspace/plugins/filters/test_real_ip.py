from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of

OURS = ("192.0.2.7", 40000)
CHAIN = "http_x_forwarded_for"


@pytest.mark.parametrize(
    ("conf", "fields", "expected"),
    [
        ({"source": "http_xff"}, ["XFF: 1.1.1.1"], ("1.1.1.1", 0)),
        ({"source": "http_xff"}, ["XFF: 1.1.1.1:1236"], ("1.1.1.1", 1236)),
        ({"source": "http_xff"}, ["XFF: [::2]:80"], ("::2", 80)),
        ({"source": "http_xff"}, ["XFF: 1.1.1.1:65536"], OURS),
        ({"source": "http_xff"}, ["XFF: nowhere"], OURS),
        ({"source": "http_xff"}, [], OURS),
        ({"source": "arg_ip"}, [], ("9.9.9.9", 0)),
        ({"source": CHAIN}, ["X-Forwarded-For: 1.1.1.1, 2.2.2.2"], ("2.2.2.2", 0)),
        ({"source": CHAIN}, ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 3.3.3.3"], ("3.3.3.3", 0)),
        ({"source": CHAIN}, [], OURS),
        ({"source": "http_xff", "trusted_addresses": ["192.0.2.0/24"]}, ["XFF: 1.1.1.1"], ("1.1.1.1", 0)),
        ({"source": "http_xff", "trusted_addresses": ["10.0.0.1"]}, ["XFF: 1.1.1.1"], OURS),
        (
            {"source": CHAIN, "recursive": True, "trusted_addresses": ["192.0.2.0/24", "10.0.0.0/8"]},
            ["X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.1.1.1,10.2.2.2"],
            ("2.2.2.2", 0),
        ),
        (
            {"source": CHAIN, "recursive": True, "trusted_addresses": ["192.0.2.0/24", "10.0.0.0/8"]},
            ["X-Forwarded-For: 10.3.3.3, 10.1.1.1"],
            ("10.3.3.3", 0),
        ),
    ],
)
def test_who_the_client_is(conf: dict[str, Any], fields: list[str], expected: tuple[str, int]) -> None:
    one = request("GET", "/?ip=9.9.9.9", *fields)
    assert filter_of("real-ip", conf).rewrite(one) is None
    assert (one.remote_addr, one.remote_port) == expected
    assert one.var("realip_remote_addr") == "192.0.2.7"
    assert one.var("remote_port") == (str(expected[1]) if expected[1] else "")
