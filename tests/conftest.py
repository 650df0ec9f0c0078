"""What holds for every test: its id, its turn, where compiled programs are kept, and what it measured."""

import os

import pytest

from tests.images import CACHE
from tests.said import SAID

os.environ["UNILB_CACHE"] = str(CACHE)  # of processes that tests start; before the product is imported


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes that are no text name no row: compressed ones hold the time, and all processes must see the same rows."""
    return argname if isinstance(val, bytes) and not val.decode("latin-1").isprintable() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: were it left for the end, the other processes would wait for its."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/userspace/cases/"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured."""
    if SAID:
        terminalreporter.section("measured")
        for line in SAID:
            terminalreporter.write_line(line)
