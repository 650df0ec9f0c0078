"""APISIX's public cases against gateways: all pass but those in exceptions.txt, and those do not.

README.md of tests says why each kind of exception cannot pass.
"""

from collections.abc import Sequence

import pytest

from tests.control.admin.apisix_cases import has_cases
from tests.userspace.cases.cases import GROUPS, units
from tests.userspace.cases.run import Outcome, exceptions, replay

pytestmark = [
    pytest.mark.cases,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not has_cases(), reason="the cases are not beside this repository"),
]


@pytest.fixture(scope="module")
def outcomes() -> Sequence[Outcome]:
    """Of all groups, since they are replayed side by side."""
    return replay([unit for group in GROUPS for unit in units(group)])


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_passes_but_those_listed(group: str, outcomes: Sequence[Outcome]) -> None:
    failed = {outcome.case: outcome.why for outcome in outcomes if outcome.group == group and outcome.why is not None}
    passed = {outcome.case for outcome in outcomes if outcome.group == group} - failed.keys()
    listed = exceptions()[group]
    print(f"{group}: {len(passed)} of {len(passed) + len(failed)} passed")
    news = [f"{case}: {why}" for case, why in failed.items() if case not in listed]
    assert not news, "\n".join(news)
    unexpected = passed & listed.keys()
    assert not unexpected, f"listed, but passing: {sorted(unexpected)}"
    missing = listed.keys() - failed.keys()
    assert not missing, f"listed, but not replayed: {sorted(missing)}"
