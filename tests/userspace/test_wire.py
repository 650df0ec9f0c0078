import pytest

from userspace import wire

MESSAGES: list[wire.Message] = [
    {"type": "snapshot", "revision": 7, "objects": [["/apisix/routes/1", '{"uri":"/"}']]},
    {"type": "changes", "revision": 8, "changes": [["/apisix/routes/1", None], ["/apisix/routes/ü", "{}"]]},
    {"type": "counters?"},
]
STREAM = b"".join(wire.encode(message) for message in MESSAGES)


def test_a_message_is_four_bytes_of_big_endian_length_and_json() -> None:
    assert wire.encode({"type": "drained"}) == b'\x00\x00\x00\x12{"type":"drained"}'


def test_messages_come_back_in_order_from_one_piece() -> None:
    decoder = wire.Decoder()
    assert decoder.feed(STREAM) == MESSAGES
    assert decoder.idle


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_messages_come_back_split_at_every_byte(cut: int) -> None:
    decoder = wire.Decoder()
    assert decoder.feed(STREAM[:cut]) + decoder.feed(STREAM[cut:]) == MESSAGES


def test_messages_come_back_fed_byte_by_byte() -> None:
    decoder = wire.Decoder()
    assert [message for byte in STREAM for message in decoder.feed(bytes([byte]))] == MESSAGES


def test_a_stream_that_ends_inside_a_message_is_not_idle() -> None:
    decoder = wire.Decoder()
    decoder.feed(STREAM[:-1])
    assert not decoder.idle


def test_a_length_over_the_limit_is_refused_before_its_bytes_are_stored() -> None:
    decoder = wire.Decoder(limit=100)
    with pytest.raises(wire.WireError, match="101 bytes is over the limit of 100"):
        decoder.feed((101).to_bytes(4, "big"))


@pytest.mark.parametrize("payload", [b"{", b"[]", b"{}", b'{"type":1}', b"\xff"])
def test_a_payload_that_is_not_a_typed_object_is_refused(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.Decoder().feed(len(payload).to_bytes(4, "big") + payload)


def test_an_encoded_message_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", 10)
    with pytest.raises(wire.WireError, match="over the limit of 10"):
        wire.encode({"type": "counters?"})
