from control.ctl.kinds import BY_NAME, KINDS
from control.ctl.table import MAX_CELL, object_table, status_table, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["A", "LONG"], [["wide cell", "x"], ["y", "z"]]) == "A          LONG\nwide cell  x\ny          z\n"


def test_a_cell_stays_in_its_line_and_says_when_it_is_cut() -> None:
    text = table(["A"], [["a\nb\x1b[31m"], ["x" * 100]])
    assert text.splitlines()[1] == "a b [31m"
    assert text.splitlines()[2] == "x" * (MAX_CELL - 3) + "..."


def test_a_route_shows_where_it_leads() -> None:
    route = {"name": "shop", "uris": ["/a", "/b"], "methods": ["GET"], "upstream_id": "u", "plugins": {"sticky": {}}}
    lines = object_table(BY_NAME["routes"], {"1": route, "2": {"uri": "/", "status": 0}}).splitlines()
    assert lines[1].split() == ["1", "shop", "-", "/a,/b", "GET", "u", "sticky", "on"]
    assert lines[2].split() == ["2", "-", "-", "/", "-", "-", "-", "off"]


def test_endpoints_in_a_vpc_are_shown_by_their_address_there() -> None:
    node = {"host": "100.64.0.1", "port": 80, "weight": 1, "metadata": {"vpc_id": "blue", "vpc_ip": "192.168.0.10"}}
    line = object_table(BY_NAME["upstreams"], {"u": {"type": "roundrobin", "nodes": [node]}}).splitlines()[1]
    assert line.split() == ["u", "-", "roundrobin", "-", "blue", "192.168.0.10:80"]


def test_targets_are_nodes_addresses_and_addresses_in_a_vpc() -> None:
    targets = [
        {"node": "gw1", "port": 80},
        {"address": "10.1.0.21", "port": 5432},
        {"address": "192.168.0.10", "vpc_id": "blue", "port": 5432},
    ]
    vip = {"address": "10.100.0.10", "port": 80, "targets": targets}
    line = object_table(BY_NAME["vips"], {"v": vip}).splitlines()[1]
    assert line.split() == ["v", "-", "10.100.0.10", "80", "-", "gw1:80,10.1.0.21:5432,blue/192.168.0.10:5432"]


def test_every_kind_has_a_table_for_any_object() -> None:
    for kind in KINDS:
        assert "ID" in object_table(kind, {"1": {}, "2": {"name": "n", "upstream": {"nodes": {"a:1": 1}}}})


def test_status_without_nodes_is_the_store() -> None:
    text = status_table({"store": "ok", "revision": 7, "uptime": 1.25})
    assert [line.split() for line in text.splitlines()] == [["store", "ok"], ["revision", "7"], ["uptime", "1.2"]]


def test_status_tells_how_far_each_node_is_and_what_it_does_not_use() -> None:
    reports = {
        "gw1": {"revision": 7, "age": 0.5, "rejected": {}},
        "gw2": {"revision": 5, "age": 61, "rejected": {"/apisix/routes/9": "no such plugin"}},
    }
    for nodes in (reports, [{"id": id, **report} for id, report in reports.items()]):
        lines = [line.split() for line in status_table({"store": "ok", "nodes": nodes}).splitlines()]
        assert lines[2:5] == [
            ["NODE", "REVISION", "AGE", "STATE", "REJECTED"],
            ["gw1", "7", "0.5", "-", "0"],
            ["gw2", "5", "61", "-", "1"],
        ]
        assert lines[-1] == ["gw2", "/apisix/routes/9", "no", "such", "plugin"]


def test_status_tells_each_l4_nodes_word_on_the_targets_of_vips() -> None:
    well = {"up": 2, "checked": 2, "down": [], "panic": False}
    ill = {"up": 1, "checked": 3, "down": ["10.1.0.21:80", "10010/192.168.0.10:80"], "panic": True}
    reports = [
        {"id": "gw1", "state": "ok"},
        {"id": "l4a", "state": "ok", "vips": {"web": well, "db": ill}},
        {"id": "l4b", "state": "ok", "vips": {"web": well}},
        {"id": "bad", "state": "ok", "vips": ["web"]},
        {"id": "worse", "state": "ok", "vips": {"web": 7}},
    ]
    text = status_table({"store": "ok", "nodes": reports})
    assert [line.split() for line in text.splitlines()[9:]] == [
        ["VIP", "NODE", "UP", "PANIC", "DOWN"],
        ["db", "l4a", "1/3", "yes", "10.1.0.21:80,10010/192.168.0.10:80"],
        ["web", "l4a", "2/2", "no", "-"],
        ["web", "l4b", "2/2", "no", "-"],
    ]
    assert "VIP" not in status_table({"store": "ok", "nodes": reports[:1]})
