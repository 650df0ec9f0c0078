from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said

LISTED = ["*.xx.com", "yy.com"]


@pytest.mark.parametrize(
    ("conf", "referer", "passes"),
    [
        ({"whitelist": LISTED}, "http://www.xx.com", True),
        ({"whitelist": LISTED}, "https://yy.com:443/a?b=c#d", True),
        ({"whitelist": LISTED}, "//yy.com", True),
        ({"whitelist": LISTED}, "http://www.yy.com", False),
        ({"whitelist": LISTED}, "http://evil.com#.xx.com", False),
        ({"whitelist": LISTED}, "http://evil.com\\.xx.com", False),
        ({"whitelist": LISTED}, "http://a@www.xx.com", False),
        ({"whitelist": LISTED}, "www.xx.com", False),
        ({"whitelist": LISTED}, None, False),
        ({"whitelist": LISTED, "bypass_missing": True}, None, True),
        ({"whitelist": LISTED, "bypass_missing": True}, "www.xx.com", True),
        ({"blacklist": LISTED}, "http://www.xx.com", False),
        ({"blacklist": LISTED}, "http://www.yy.com", True),
        ({"blacklist": LISTED}, None, False),
    ],
)
def test_which_referers_pass(conf: dict[str, Any], referer: str | None, passes: bool) -> None:
    one = request("GET", "/", *([f"Referer: {referer}"] if referer is not None else []))
    expected = (0, "") if passes else (403, '{"message":"Your referer host is not allowed"}\n')
    assert said(filter_of("referer-restriction", conf).access(one)) == expected
