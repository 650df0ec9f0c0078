"""APISIX's public cases, replayed where they are: all pass but those listed, and those listed do not.

README.md of control/admin says why each group of exceptions cannot pass.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.control.admin.apisix_cases import (
    Case,
    Servers,
    expected_failures,
    has_cases,
    id_of,
    read_cases,
    replay,
    talks_to,
)
from tests.control.conftest import EtcdServer

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not has_cases(), reason="the cases are not beside this repository"),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("cases")
    etcd = EtcdServer(folder / "etcd")
    etcd.start()
    try:
        with ExitStack() as stack:
            yield Servers(stack, folder, etcd.address)
    finally:
        etcd.kill()


def admin_cases() -> list[Case]:
    return [case for case in read_cases("admin.jsonl") if talks_to(case, {"admin"})]


def control_cases() -> list[Case]:
    needs_file = "standalone_yaml"
    return [
        case
        for case in read_cases("control.jsonl")
        if talks_to(case, {"admin", "control"}) and needs_file not in case["needs"]
    ]


def plugin_cases() -> list[Case]:
    """Those that only write to the Admin API or ask whether a configuration is valid."""
    return [
        case
        for case in read_cases("plugin.jsonl")
        if case["mode"] == "steps" and talks_to(case, {"admin"}) and "standalone_yaml" not in case["needs"]
    ]


@pytest.mark.parametrize(
    ("group", "cases"), [("admin", admin_cases), ("control", control_cases), ("plugin", plugin_cases)]
)
def test_every_case_passes_but_those_listed(group: str, cases: object, servers: Servers) -> None:
    assert callable(cases)
    wanted: list[Case] = cases()
    started = time.monotonic()
    failed = replay(servers, wanted)
    print(f"{group}: {len(wanted) - len(failed)} of {len(wanted)} passed in {time.monotonic() - started:.0f} s")
    expected = expected_failures(group)
    news = [f"{case}: {why}" for case, why in failed.items() if case not in expected]
    assert not news, "\n".join(news)
    repaired = sorted((expected & {id_of(case) for case in wanted}) - failed.keys())
    assert not repaired, f"listed, but passing: {repaired}"
    unknown = sorted(expected - {id_of(case) for case in wanted})
    assert not unknown, f"listed, but not run: {unknown}"
