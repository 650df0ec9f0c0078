from control.model.upstream import Upstream
from control.model.upstream_tls import UpstreamTls
from tests.control.certificates import pair

CERT, KEY = pair("a.example")


def read(**tls: object) -> UpstreamTls:
    return Upstream.from_json({"id": "1", "nodes": {"a:1": 1}, "tls": tls}).tls


def test_it_is_read_with_what_it_leaves_out() -> None:
    assert read() == UpstreamTls() == UpstreamTls("", "", None, False)
    assert read(client_cert=CERT, client_key=KEY, verify=True) == UpstreamTls(CERT, KEY, None, True)
    assert read(client_cert_id=7).client_cert_id == "7"


def test_keys_are_not_printed() -> None:
    assert KEY[30:60] not in repr(read(client_cert=CERT, client_key=KEY))
