"""userspace/lab/status.py: the table."""

from userspace.lab.lab import Lab
from userspace.lab.status import Row, rows, table


def test_a_machine_is_named_once() -> None:
    found = [
        Row("etcd", "control", "10.0.0.5", "etcd", 12, "ok"),
        Row("etcd", "control", "10.0.0.5", "control", None, "not running"),
        Row("client", "client", "203.0.113.9", "-", None, "ok"),
    ]
    assert table(found) == (
        "machine  role     addresses    service  pid  health\n"
        "etcd     control  10.0.0.5     etcd     12   ok\n"
        "                               control  -    not running\n"
        "client   client   203.0.113.9  -        -    ok"
    )


def test_a_lab_that_is_not_built_has_no_namespaces(lab: Lab) -> None:
    assert {row.health for row in rows(lab)} == {"no namespace"}
    assert [row.machine for row in rows(lab)] == list(lab.places)
