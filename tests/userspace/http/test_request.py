from tests.requests import request


def test_headers_are_changed_in_place_and_without_case() -> None:
    one = request("GET", "/", "X-A: 1", "B: 2", "x-a: 3")
    assert (one.header(b"x-a"), one.header_values(b"x-a")) == (b"1", [b"1", b"3"])
    one.set_header(b"X-a", b"4")
    assert one.head.headers[1:] == [(b"X-a", b"4"), (b"B", b"2")]
    one.set_header(b"C", b"5")
    one.add_header(b"C", b"6")
    assert one.header_values(b"c") == [b"5", b"6"]
    one.remove_header(b"c")
    assert one.header(b"c") is None


def test_cookies_follow_the_header() -> None:
    one = request("GET", "/", 'Cookie: a=1; b="2"; a=3; novalue', "Cookie: c=x=y")
    assert [one.cookie(name) for name in ("a", "b", "c", "A", "novalue")] == ["1", "2", "x=y", None, None]
    one.set_header(b"Cookie", b"a=9")
    assert (one.cookie("a"), one.cookie("b")) == ("9", None)


def test_arguments_are_decoded_and_the_first_of_a_name_counts() -> None:
    one = request("GET", "/?a=1&a=2&b&c=%C3%A9+x&=y&d%20e=f")
    assert [one.arg(name) for name in ("a", "b", "c", "d e", "", "none")] == ["1", "", "é x", "f", None, None]
    one.set_query(b"z=1")
    assert (one.arg("a"), one.arg("z"), one.upstream_query) == (None, "1", b"z=1")


def test_only_so_many_arguments_are_looked_at() -> None:
    one = request("GET", "/?" + "&".join(f"{n}" for n in range(1500)))
    assert (one.arg("999"), one.arg("1000")) == ("", None)


def test_notes_are_a_requests_own() -> None:
    one, other = request(), request()
    one.state["x"] = 1
    assert other.state == {}
