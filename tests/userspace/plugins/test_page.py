from userspace.plugins.outcome import Reply
from userspace.plugins.page import page


def test_a_status_has_a_page_with_its_title() -> None:
    reply = page(403, (b"X-More", b"1"))
    assert b"<title>403 Forbidden</title>" in reply.body
    assert reply.headers == ((b"Content-Type", b"text/html; charset=utf-8"), (b"X-More", b"1"))


def test_some_titles_are_not_those_of_rfc_9110() -> None:
    assert b"413 Request Entity Too Large" in page(413).body


def test_what_is_no_error_and_unknown_statuses_have_no_page() -> None:
    assert page(200) == Reply(200, b"", ()) and page(599) == Reply(599, b"", ())
