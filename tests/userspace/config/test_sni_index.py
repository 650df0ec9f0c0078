import pytest

from userspace.config.sni_index import SniIndex, normal


def index(*sites: tuple[str, ...]) -> SniIndex[str]:
    made: SniIndex[str] = SniIndex()
    for names in sites:
        made.add(names, names[0], names[0])
    return made


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.example", "a.example"),
        ("b.example", "*.example"),
        ("c.b.example", "*.b.example"),
        ("d.c.b.example", None),
        ("example", None),
        (".example", None),
        ("", None),
        ("other", None),
    ],
)
def test_exact_names_come_first_and_a_star_stands_for_one_label(name: str, found: str | None) -> None:
    assert index(("a.example",), ("*.example",), ("*.b.example",)).find(name) == found


def test_a_lone_star_is_for_every_name_but_none() -> None:
    sites = index(("*",), ("a.example",))
    assert [sites.find(name) for name in ("a.example", "x.y.z", "")] == ["a.example", "*", None]


def test_of_two_with_the_same_name_the_same_one_wins_whoever_came_first() -> None:
    for order in (("1", "2"), ("2", "1")):
        sites: SniIndex[str] = SniIndex()
        for id in order:
            sites.add(["a"], id, id)
        assert sites.find("a") == "1"
        sites.remove(["a"], "1")
        assert sites.find("a") == "2"
        sites.remove(["a"], "2")
        assert sites.find("a") is None


def test_names_are_compared_in_lower_case_without_the_last_dot() -> None:
    assert normal("WWW.Example.") == "www.example"
