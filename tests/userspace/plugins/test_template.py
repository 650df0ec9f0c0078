import pytest

from tests.requests import request
from userspace.plugins.template import Template


@pytest.mark.parametrize(
    ("text", "filled", "found"),
    [
        ("plain", "plain", 0),
        ("$uri", "/a", 1),
        ("${uri}x-$arg_q.", "/ax-1.", 2),
        ("$urix", "", 0),
        (r"\$uri", r"\$uri", 0),
        ("$", "$", 0),
        ("$$uri", "$/a", 1),
        ("${uri", "${uri", 0),
        ("a-$http_x-b", "a--b", 0),
    ],
)
def test_variables_are_filled_in(text: str, filled: str, found: int) -> None:
    assert Template(text).filled(request(target="/a?q=1")) == (filled, found)


def test_only_values_are_escaped() -> None:
    assert Template("/$arg_q/").fill(request(target="/?q=x"), lambda value: value.upper() + "%") == "/X%/"
