import pytest

from tests.requests import PEER, request
from userspace.http.real_ip import RealIp, parse_client

PROXY = PEER._replace(address="10.0.0.1", field=b"10.0.0.1")
OURS = ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("header", "recursive", "fields", "client"),
    [
        ("X-Real-IP", False, ["X-Real-IP: 192.0.2.1"], ("192.0.2.1", 40000)),
        ("X-Real-IP", False, ["x-real-ip: 2001:DB8::1"], ("2001:db8::1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: 192.0.2.1:81"], ("192.0.2.1", 81)),
        ("X-Real-IP", False, ["X-Real-IP: [2001:db8::1]:81"], ("2001:db8::1", 81)),
        ("X-Real-IP", False, ["X-Real-IP: [2001:db8::1]"], ("2001:db8::1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: ::ffff:192.0.2.1"], ("192.0.2.1", 40000)),
        ("X-Real-IP", False, [], ("10.0.0.1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: somebody"], ("10.0.0.1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: 192.0.2.1, 192.0.2.2"], ("10.0.0.1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: 192.0.2.1:99999"], ("10.0.0.1", 40000)),
        ("X-Real-IP", False, ["X-Real-IP: 192.0.2.é".encode().decode("latin-1")], ("10.0.0.1", 40000)),
        ("X-Forwarded-For", False, ["X-Forwarded-For: 192.0.2.1, 10.0.0.2"], ("10.0.0.2", 40000)),
        ("X-Forwarded-For", False, ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"], ("192.0.2.2", 40000)),
        ("X-Forwarded-For", True, ["X-Forwarded-For: 203.0.113.1, 192.0.2.1:5, 10.0.0.2"], ("192.0.2.1", 5)),
        ("X-Forwarded-For", True, ["X-Forwarded-For: 10.0.0.3, 10.0.0.2"], ("10.0.0.3", 40000)),
        ("X-Forwarded-For", True, ["X-Forwarded-For: 192.0.2.1, nobody, 10.0.0.2"], ("10.0.0.2", 40000)),
    ],
)
def test_a_proxy_of_ours_says_who_the_client_is(
    header: str, recursive: bool, fields: list[str], client: tuple[str, int]
) -> None:
    one = request("GET", "/", *fields, peer=PROXY)
    RealIp(header, OURS, recursive).apply(one)
    assert (one.remote_addr, one.remote_port) == client
    assert one.peer is PROXY


def test_nobody_elses_word_counts() -> None:
    one = request("GET", "/", "X-Real-IP: 192.0.2.1")
    RealIp("X-Real-IP", OURS, False).apply(one)
    assert one.remote_addr == PEER.address


def test_without_networks_there_is_nothing_to_do() -> None:
    assert RealIp("X-Real-IP", OURS, False) and not RealIp("X-Real-IP", (), False)


def test_addresses_and_ports_as_people_write_them() -> None:
    assert parse_client("::ffff:1.2.3.4") == ("1.2.3.4", None)
    assert parse_client("[2001:DB8::0]") == ("2001:db8::", None)
    bad = ("", ":80", "[::1", "[::1]x", "[1.2.3.4]", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:x", "a.b:80", "1.2.3")
    assert [text for text in bad if parse_client(text) is not None] == []
