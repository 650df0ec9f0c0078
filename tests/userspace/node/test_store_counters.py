import os

from userspace.node.store_counters import Modified, StoreCollector
from userspace.obs.exposition import render


def test_kinds_tell_when_they_were_last_changed() -> None:
    modified = Modified()
    modified.note(5, ["/apisix/routes/1", "/apisix/consumers/jack/credentials/1", "/unilb/nodes/gw1"])
    modified.note(7, ["/apisix/routes/2"])
    modified.note(9, ["/apisix/plugin_metadata/cors"])
    text = render([StoreCollector(modified, lambda: True, lambda: 9)]).decode()
    for key, revision in (("routes", 7), ("consumers", 5), ("ssls", 0), ("max_modify_index", 7), ("x_etcd_index", 9)):
        assert f'apisix_etcd_modify_indexes{{key="{key}"}} {revision}\n' in text
    assert "apisix_etcd_reachable 1\n" in text
    assert f'apisix_node_info{{hostname="{os.uname().nodename}",version="' in text


def test_a_store_out_of_contact_is_told() -> None:
    assert b"apisix_etcd_reachable 0\n" in render([StoreCollector(Modified(), lambda: False, lambda: 0)])
