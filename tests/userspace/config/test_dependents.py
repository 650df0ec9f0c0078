from control.model.route import Route
from userspace.config.dependents import Dependents

BOTH = Route("r1", ("/",), service_id="s1", plugin_config_id="p1")
ONE = Route("r2", ("/",), service_id="s1")


def test_routes_are_found_by_what_they_name_until_they_go() -> None:
    dependents = Dependents()
    dependents.add(BOTH)
    dependents.add(ONE)
    dependents.add(Route("r3", ("/",)))
    assert set(dependents.of("service", "s1")) == {"r1", "r2"}
    assert set(dependents.of("plugin_config", "p1")) == {"r1"}
    assert not dependents.of("service", "p1") and not dependents.of("plugin_config", "s1")
    dependents.remove(BOTH)
    dependents.remove(ONE)
    assert len(dependents) == 0
