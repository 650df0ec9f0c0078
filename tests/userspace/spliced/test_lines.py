"""A finished request as a line: a worker's fields, or its format."""

import json
from typing import Any

import pytest

from tests.userspace.spliced.records import HEAD, NSEC, record
from userspace.node import abi
from userspace.node.splice_abi import Flag, Kind
from userspace.proxy.log_format import LogFormat
from userspace.spliced.lines import NOBODY, Lines, Owner, parsed
from userspace.spliced.requests import Finished, Requests

OWNER = Owner("r1", "u1", "100.64.0.2:80", "blue")
AHEAD = 1_700_000_000.0  # of the epoch's clock


def finished(head: bytes = HEAD, **fields: object) -> Finished:
    found = list[Finished]()
    requests = Requests(found.append)
    requests.take(record(0, head, **fields), 0)
    requests.take(record(1, head, **fields), 0)
    return found[0]


def line(request: Finished, log_format: str | None = None) -> bytes:
    owners = {2: OWNER}
    lines = Lines(lambda account: owners.get(account, NOBODY), LogFormat(log_format) if log_format else None)
    return lines.line(request, AHEAD)


def entry(head: bytes = HEAD, **fields: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line(finished(head, **fields)))
    return found


def test_a_line_has_a_workers_fields() -> None:
    assert entry() == {
        "time": "2023-11-14T22:13:30.002500+00:00",
        "client": "203.0.113.7",
        "method": "GET",
        "host": "shop.example",
        "path": "/a?x=1",
        "status": 200,
        "bytes_in": len(HEAD),
        "bytes_out": 300,
        "request_ms": 2.5,
        "upstream_address": "100.64.0.2:80",
        "upstream_ms": 2.5,
        "upstream_status": 200,
        "route": "r1",
        "upstream": "u1",
        "endpoint": "100.64.0.2:80",
        "vpc_id": "blue",
        "sticky": None,
        "retries": 0,
        "error": None,
        "error_source": None,
        "revision": 77,
        "spliced": True,
    }
    assert line(finished()).endswith(b"}\n")


def test_whose_account_is_unknown_is_nobodys() -> None:
    found = entry(account=9)
    assert (found["route"], found["upstream"], found["endpoint"], found["status"]) == (None, None, None, 200)


@pytest.mark.parametrize(("logged", "sticky"), [(1, None), (2, "valid"), (3, "none")])
def test_the_session_is_what_it_was_when_it_was_decided(logged: int, sticky: str | None) -> None:
    assert entry(logged=logged)["sticky"] == sticky


@pytest.mark.parametrize(
    ("flags", "ended"),
    [
        (Flag.AWAITS, (499, None, "gone", "client")),
        (Flag.AWAITS | Flag.FIN_UP, (499, None, "gone", "client")),
        (Flag.AWAITS | Flag.RESET, (502, None, "reset", "upstream")),
        (Flag.AWAITS | Flag.FIN_UP | Flag.FIN_DOWN, (502, None, "closed", "upstream")),
        (Flag.FIN_DOWN, (200, 200, None, None)),
    ],
)
def test_without_an_answer_the_status_says_who_left(flags: Flag, ended: tuple[object, ...]) -> None:
    found = entry(flags=int(flags), status=0 if flags & Flag.AWAITS else 200)
    assert tuple(found[key] for key in ("status", "upstream_status", "error", "error_source")) == ended


@pytest.mark.parametrize(("why", "status"), [("idle", 504), ("age", 502), ("killed", 502)])
def test_what_the_node_ends_without_an_answer_is_its_doing(why: str, status: int) -> None:
    request = finished(flags=int(Flag.AWAITS), status=0)._replace(why=why)
    found = json.loads(line(request))
    assert tuple(found[key] for key in ("status", "upstream_status", "error", "error_source")) == (
        *(status, None, why),
        "internal",
    )
    answered = json.loads(line(finished()._replace(why=why)))
    assert (answered["status"], answered["error"]) == (200, None)


def test_a_status_that_could_not_be_read_is_none_of_the_endpoints() -> None:
    found = entry(status=0)
    assert (found["status"], found["upstream_status"]) == (0, None)


def test_one_without_a_byte_of_an_answer_took_no_time() -> None:
    assert entry(begun_ns=20 * NSEC)["request_ms"] == 0


def test_addresses_of_ipv6_are_written_as_such() -> None:
    assert entry(client=abi.addr("2001:db8::7"))["client"] == "2001:db8::7"


def test_a_format_gets_what_is_known() -> None:
    text = (
        "$remote_addr:$remote_port $server_addr:$server_port $request $status $bytes_sent $request_length $http_host"
        " $request_time $upstream_addr $upstream_status $upstream_header_time $route_id $route_name $arg_x $post_arg_x"
        ' "$http_user_agent" $matched_uri $uri_param_x $balancer_ip $msec $upstream_scheme $upstream_http_server'
    )
    known, _, rest = line(finished(), text).decode().partition(" 0.003 ")
    assert known == f"203.0.113.7:50000 10.0.0.10:80 GET /a?x=1 HTTP/1.1 200 300 {len(HEAD)} Shop.Example:80"
    rest, _, last = rest.partition(' "t" ')
    assert rest == "100.64.0.2:80 200 0.001 r1 - 1 -"
    assert last.split()[:3] == ["-", "-", "100.64.0.2"] and last.split()[4:] == ["http", "-"]


def test_a_line_stays_a_line_whatever_a_header_says() -> None:
    head = HEAD.replace(b"User-Agent: t", b'User-Agent: a"\xff\t')
    assert line(finished(head), '"$http_user_agent"') == b'"a\\x22\\xFF"\n'


def test_a_head_that_our_parser_refuses_has_its_line_all_the_same() -> None:
    """The guard compared it with one that was decided: here it is only told."""
    found = entry(HEAD.replace(b"GET", b"NOSUCH"))
    assert (found["method"], found["path"], found["host"]) == ("NOSUCH", "/a?x=1", "")
    assert parsed(b"NOSUCH /a?b HTTP/1.1\r\n\r\n").query == b"b"


def test_the_end_of_a_tunnel_has_what_passed() -> None:
    found = list[Finished]()
    Requests(found.append).take(record(0, b"", kind=Kind.OPAQUE, up=7, down=9, answer=9), 0)
    assert json.loads(line(found[0])) == {
        "time": "2023-11-14T22:13:30.002500+00:00",
        "client": "203.0.113.7",
        "bytes_in": 7,
        "bytes_out": 9,
        "stream_ms": 2.5,
        "route": "r1",
        "upstream": "u1",
        "endpoint": "100.64.0.2:80",
        "vpc_id": "blue",
        "error": None,
        "error_source": None,
        "revision": 77,
        "splice": "opaque",
        "spliced": True,
    }
