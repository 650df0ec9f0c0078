from userspace.http.events import CHUNKED, END_OF_MESSAGE, UNTIL_CLOSE, EndOfMessage, ProtocolError


def test_a_refusal_names_status_and_reason() -> None:
    error = ProtocolError(400, "two Hosts")
    assert (error.status, error.reason, str(error)) == (400, "two Hosts", "400: two Hosts")


def test_the_shared_end_of_message_equals_any_without_trailers() -> None:
    assert EndOfMessage() == END_OF_MESSAGE
    assert EndOfMessage([(b"a", b"b")]) != END_OF_MESSAGE


def test_no_body_length_can_be_mistaken_for_another_kind() -> None:
    assert CHUNKED is None
    assert UNTIL_CLOSE < 0
