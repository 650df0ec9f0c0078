from userspace.plugins.outcome import Reply


def test_a_json_answer_ends_in_a_line_feed() -> None:
    reply = Reply.json(401, {"message": "no"}, (b"X", b"1"))
    assert (reply.status, reply.body) == (401, b'{"message":"no"}\n')
    assert reply.headers == ((b"Content-Type", b"application/json"), (b"X", b"1"))
