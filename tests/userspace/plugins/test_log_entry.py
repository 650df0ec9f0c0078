from tests.requests import request
from userspace.plugins.log_entry import fields_of, formatted_entry, full_entry, readable
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary

SUMMARY = Summary(200, 1000.0, 12.5, 10.0, 100, 200, "10.0.0.1:80", 200, None, False)


def test_the_default_entry_tells_what_apisix_tells() -> None:
    one = request("POST", "/a?x=1&y", "A: 1", "a: 2")
    one.response = Response(200, [(b"B", b"3")], False)
    one.summary = SUMMARY
    one.consumer_name = "jack"
    entry = full_entry(one, SUMMARY)
    assert entry["request"] == {
        "url": f"http://any.example:{one.peer.server_port}/a?x=1&y",
        "uri": "/a?x=1&y",
        "method": "POST",
        "headers": {"host": "any.example", "a": ["1", "2"]},
        "querystring": {"x": "1", "y": True},
        "size": 100,
    }
    assert entry["response"] == {"status": 200, "headers": {"b": "3"}, "size": 200}
    assert (entry["start_time"], entry["latency"], entry["upstream_latency"]) == (1000000, 12.5, 10.0)
    assert (entry["apisix_latency"], entry["client_ip"], entry["service_id"]) == (2.5, one.remote_addr, "any.example")
    assert entry["consumer"] == {"username": "jack"} and "route_id" not in entry


def test_without_an_endpoint_nothing_is_said_of_one() -> None:
    entry = full_entry(request(), Summary(404, 0.0, 1.0, 0.0, 1, 1, None, None, None, True))
    assert "upstream" not in entry and "upstream_latency" not in entry


def test_a_format_fills_variables_in_at_any_depth_but_too_deep_a_one() -> None:
    form = {"u": "$uri", "n": {"m": "$request_method", "none": "$arg_none", "s": "x$uri"}, "k": 1}
    assert formatted_entry(request(target="/a"), form) == {"u": "/a", "n": {"m": "GET", "s": "x$uri"}, "k": 1}
    deep: dict[str, object] = {"end": 1}
    for _ in range(6):
        deep = {"in": deep}
    assert fields_of(request(), deep) == {"in": {"in": {"in": {"in": {}}}}}


def test_bytes_that_are_no_text_become_question_marks() -> None:
    assert (readable("a\udcffb"), readable("ä")) == ("a?b", "ä")
