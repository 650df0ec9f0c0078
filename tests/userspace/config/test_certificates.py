import json
from typing import Any

import pytest

from tests.control.certificates import authority
from tests.requests import request
from tests.userspace.proxy.tls_stage import site
from userspace.config.certificates import Certificates
from userspace.config.snapshot import EMPTY, Snapshot, apply
from userspace.http.request import Request, Tls

CA = {"ca": authority().certificate}


def snapshot(**ssls: dict[str, Any]) -> Snapshot:
    changes = [
        (f"/apisix/ssls/{id}", None if doc is None else json.dumps({"id": id, **doc}).encode())
        for id, doc in ssls.items()
    ]
    made = apply(EMPTY, 1, changes)
    assert not dict(made.rejected)
    return made


def certificates(**ssls: dict[str, Any]) -> Certificates:
    made = Certificates()
    new = snapshot(**ssls)
    made.apply(new, new.changed)
    return made


def found(made: Certificates, name: str) -> str | None:
    ssl = made.find(name)
    return None if ssl is None else ssl.id


def over_tls(host: str, path: str = "/", name: str = "", verify: str = "NONE") -> Request:
    made = request("GET", path, host=host)
    made.peer = made.peer._replace(tls=Tls(name or host, "TLSv1.3", "", "", verify))
    return made


def test_names_lead_to_objects_that_are_on_and_for_servers() -> None:
    made = certificates(
        one=site("A.example."), off=site("b.example", status=0), client={**site("c.example"), "type": "client"}
    )
    assert [found(made, name) for name in ("a.example", "b.example", "c.example")] == ["one", None, None]
    assert made.of_id("client") is not None and made.of_id("off") is not None


def test_a_change_costs_its_own_names_only() -> None:
    made = certificates(one=site("a.example", "b.example"), two=site("c.example"))
    new = snapshot(one=site("b.example", "d.example"), two=site("c.example"))
    made.apply(new, ["/apisix/ssls/one", "/apisix/routes/1", "/unilb/keys/tickets"])
    assert [found(made, name) for name in ("a.example", "b.example", "c.example", "d.example")] == [
        None,
        "one",
        "two",
        "one",
    ]
    made.apply(snapshot(), ["/apisix/ssls/one"])
    assert found(made, "b.example") is None and made.of_id("one") is None


@pytest.mark.parametrize(
    ("asked", "is_forbidden"),
    [
        (over_tls("m.example", verify="SUCCESS"), False),
        (over_tls("m.example"), True),
        (over_tls("m.example", verify="FAILED:expired"), True),
        (over_tls("m.example", "/open/1"), False),
        (over_tls("m.example", "/open/1", name="o.example"), True),
        (over_tls("M.Example.", verify="SUCCESS", name="m.example"), False),
        (over_tls("m.example", verify="SUCCESS", name="o.example"), True),
        (over_tls("o.example"), False),
        (over_tls("o.example", name="m.example"), False),
        (over_tls("unknown.example"), False),
        (request(host="m.example"), False),
    ],
)
def test_a_host_that_wants_a_certificate_is_closed_to_others(asked: Request, is_forbidden: bool) -> None:
    made = certificates(
        open=site("o.example"), closed=site("m.example", client={**CA, "skip_mtls_uri_regex": ["^/open"]})
    )
    assert made.forbids(asked) is is_forbidden


def test_without_one_that_wants_certificates_nothing_is_looked_up() -> None:
    made = certificates(one=site("m.example", client=CA))
    made.apply(snapshot(one=site("m.example")), ["/apisix/ssls/one"])
    assert not made.forbids(over_tls("m.example"))
