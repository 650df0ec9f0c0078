import pytest

from tests.said import SAID


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes that are no text name no row: compressed ones hold the time, and all processes must see the same rows."""
    return argname if isinstance(val, bytes) and not val.decode("latin-1").isprintable() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured."""
    if SAID:
        terminalreporter.section("measured")
        for line in SAID:
            terminalreporter.write_line(line)
