from userspace.plugins.response import Response


def response() -> Response:
    return Response(200, [(b"A", b"1"), (b"Content-Length", b"3"), (b"a", b"2"), (b"ETag", b'"x"')], False)


def test_headers_are_found_without_case() -> None:
    assert (response().header(b"a"), response().header_values(b"a"), response().header(b"b")) == (
        b"1",
        [b"1", b"2"],
        None,
    )


def test_headers_are_set_added_and_removed() -> None:
    one = response()
    one.set_header(b"A", b"3")
    one.add_header(b"A", b"4")
    assert one.header_values(b"a") == [b"3", b"4"]
    one.remove_header(b"A")
    assert one.header_values(b"a") == []


def test_a_transformed_body_is_no_longer_what_its_headers_said() -> None:
    one = response()
    one.transform(lambda data, is_last: data)
    assert one.headers == [(b"A", b"1"), (b"a", b"2")]


def test_a_body_is_coded_as_the_last_who_asked_for_it_says() -> None:
    one = response()
    assert one.coder() is None
    one.code_by(lambda last: None)
    one.code_by(lambda last: lambda data, is_last: data.upper())
    coder = one.coder()
    assert coder is not None and coder(b"a", True) == b"A"
    assert one.transforms == [] and one.header(b"content-length") == b"3"
