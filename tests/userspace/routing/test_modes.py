import pytest

from tests.requests import asked
from tests.userspace.routing.candidates import named
from userspace.routing.modes import MODES, table_for


@pytest.mark.parametrize(("mode", "id"), list(zip(MODES, ["host", "path", "parameter"], strict=True)))
def test_each_mode_finds_its_route(mode: str, id: str) -> None:
    table = table_for(mode)
    table.add(["a.com"], ["/*"], named("host"))
    table.add([], ["/user/*"], named("path"))
    table.add([], ["/user/:name"], named("parameter"))
    assert table.match(asked("a.com", "/user/x")).id == id


def test_another_mode_is_no_mode() -> None:
    with pytest.raises(KeyError):
        table_for("radixtree")
