"""Services as gateways read them."""

from control.model.service import Service

UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}


def test_defaults() -> None:
    assert Service.from_json({"id": 5}) == Service("5")


def test_every_field_that_gateways_use_is_read() -> None:
    plugins = {"sticky": {}}
    doc = {"id": "s", "name": "n", "hosts": ["B.com", "b.com"], "plugins": plugins, "upstream_id": 7}
    assert Service.from_json(doc) == Service("s", "7", None, ("b.com",), plugins, "n")


def test_an_upstream_inside_has_an_id_that_no_other_upstream_can_have() -> None:
    inside = Service.from_json({"upstream": UPSTREAM}, "s").upstream
    assert inside is not None and inside.id == "services/s"
    assert Service.from_json({"id": "s", "upstream": UPSTREAM, "upstream_id": "u"}).upstream is None
