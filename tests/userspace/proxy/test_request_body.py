from userspace.proxy.request_body import REPLAY_BYTES, RequestBody


def test_a_body_of_known_length_goes_out_as_it_came_in() -> None:
    body = RequestBody(chunked=False)
    body.add(b"abc")
    assert body.take() == [b"abc"]
    body.add(b"def")
    body.end([])
    assert body.take() == [b"def"] and body.take() == []


def test_a_chunked_body_is_framed_anew() -> None:
    body = RequestBody(chunked=True)
    body.add(b"a" * 26)
    body.end([])
    assert b"".join(body.take()) == b"1a\r\n" + b"a" * 26 + b"\r\n0\r\n\r\n"


def test_what_was_sent_comes_again_for_another_connection_with_what_came_since() -> None:
    body = RequestBody(chunked=False)
    body.add(b"one")
    body.take()
    body.add(b"two")
    assert body.take_all() == [b"one", b"two"]
    assert body.take_all() == [b"one", b"two"]


def test_a_body_that_outgrew_the_limit_is_not_kept() -> None:
    body = RequestBody(chunked=False)
    body.add(b"x" * REPLAY_BYTES)
    body.take()
    assert body.is_replayable
    body.add(b"x")
    assert body.is_replayable, "what is not sent yet is no replay"
    body.take()
    assert not body.is_replayable
    body.add(b"y")
    assert body.take() == [b"y"]


def test_it_can_be_looked_at_whole_before_it_is_sent() -> None:
    body = RequestBody(chunked=True)
    assert body.whole() == b"" and body.size == 0
    body.add(b"one")
    body.add(b"two")
    body.end([])
    assert body.whole() == b"onetwo" and body.size == 6
    assert b"".join(body.take()) == b"6\r\nonetwo\r\n0\r\n\r\n"
    assert body.take() == []
