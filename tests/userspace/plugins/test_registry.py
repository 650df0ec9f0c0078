from control.model.plugins import PLUGINS
from userspace.plugins.filter import Filter
from userspace.plugins.registry import FILTERS


def test_every_filter_is_a_plugin_of_the_control_plane() -> None:
    assert FILTERS.keys() <= PLUGINS.keys()
    assert all(issubclass(kind, Filter) and name == kind.NAME for name, kind in FILTERS.items())


def test_the_order_of_all_filters_is_known() -> None:
    order = sorted(FILTERS, key=lambda name: (-PLUGINS[name].priority, name))
    assert order.index("fault-injection") < order.index("key-auth")
