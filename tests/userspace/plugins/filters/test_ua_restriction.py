from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said


@pytest.mark.parametrize(
    ("conf", "agents", "passes"),
    [
        ({"denylist": ["my-bot2", "(Baiduspider)/(\\d+)\\.(\\d+)"]}, ["Baiduspider/3.0"], False),
        ({"denylist": ["my-bot2"]}, ["  my-bot2 "], False),
        ({"denylist": ["^my-bot"]}, ["other", "my-bot"], False),
        ({"denylist": ["^my-bot$"]}, ["my-bot2"], True),
        ({"denylist": ["my-bot"]}, ["MY-BOT"], True),
        ({"denylist": ["(?i)my-bot"]}, ["MY-BOT"], False),
        ({"allowlist": ["curl"]}, ["curl/8"], True),
        ({"allowlist": ["curl"]}, ["other", "curl/8"], True),
        ({"allowlist": ["curl"]}, ["wget"], False),
        ({"allowlist": ["curl"]}, [""], False),
        ({"denylist": ["x"]}, [], False),
        ({"denylist": ["x"], "bypass_missing": True}, [], True),
    ],
)
def test_which_agents_pass(conf: dict[str, Any], agents: list[str], passes: bool) -> None:
    one = request("GET", "/", *(f"User-Agent: {agent}" for agent in agents))
    expected = (0, "") if passes else (403, '{"message":"Not allowed"}\n')
    assert said(filter_of("ua-restriction", conf).access(one)) == expected


def test_the_refusal_can_be_worded() -> None:
    assert said(filter_of("ua-restriction", {"denylist": ["x"], "message": "no"}).access(request()))[1] == (
        '{"message":"no"}\n'
    )
