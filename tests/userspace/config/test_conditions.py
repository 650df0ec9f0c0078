import pytest

from control.model.route import Route
from tests.requests import request
from userspace.config.conditions import check_conditions, condition_of, footprint_of_conditions
from userspace.http.footprint import COOKIE, EXTRA, PEER, QUERY, Footprint


def route(**fields: object) -> Route:
    return Route.from_json({"id": "r", "uri": "/*", "plugins": {}, **fields})


def holds(one: Route, target: str = "/") -> bool:
    condition = condition_of(one)
    return condition is None or condition(request("GET", target))


def test_a_route_without_conditions_has_none() -> None:
    assert condition_of(route()) is None
    assert condition_of(route(vars=[])) is None


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"remote_addr": "192.0.2.7"}, True),
        ({"remote_addrs": ["10.0.0.0/8", "192.0.2.1/24"]}, True),
        ({"remote_addrs": ["10.0.0.0/8", "::/0"]}, False),
        ({"vars": [["arg_a", "==", "1"]]}, True),
        ({"vars": [["arg_a", "==", "2"]]}, False),
        ({"vars": [["arg_a", "==", "1"]], "remote_addr": "10.0.0.1"}, False),
        ({"vars": [["arg_a", "==", "1"]], "remote_addr": "192.0.2.0/24"}, True),
        ({"filter_func": "function(vars) return vars.arg_a == '1' end"}, True),
        ({"filter_func": "function(vars) return vars.arg_a == 1 end"}, False),
    ],
)
def test_all_conditions_must_hold(fields: dict[str, object], matches: bool) -> None:
    assert holds(route(**fields), "/?a=1") is matches


def test_the_client_is_who_plugins_say_it_is() -> None:
    one = request()
    one.remote_addr = "10.1.1.1"
    condition = condition_of(route(remote_addr="10.0.0.0/8"))
    assert condition is not None and condition(one)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vars": [["arg_a", "~~", "(?=x)"]]}, 'property "vars": regular expression'),
        ({"filter_func": "function(vars) while true do end end"}, 'property "filter_func": line 1'),
        ({"uri": "/" + "*/" * 2000}, 'property "uri": regular expression'),
    ],
)
def test_what_cannot_be_served_is_named_with_its_field(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_conditions(route(**fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Footprint()),
        ({"remote_addr": "192.0.2.7"}, Footprint(PEER)),
        ({"vars": ["OR", ["arg_a", "==", "1"], ["cookie_b", "!", "~~", "x"]]}, Footprint(QUERY | COOKIE)),
        ({"vars": ["!AND", ["http_x_a", "==", "1"], ["http_x-a", "in", ["or", "b"]]]}, Footprint(EXTRA, "x-a")),
        ({"vars": [["http_x_a", "==", "1"], ["http_x_b", "==", "1"]]}, None),
        ({"vars": [["post_arg.a", "==", "1"]]}, None),
        ({"filter_func": "function(vars) return vars.uri == '/a' end"}, None),
    ],
)
def test_what_conditions_depend_on(fields: dict[str, object], expected: Footprint | None) -> None:
    assert footprint_of_conditions(route(**fields)) == expected
