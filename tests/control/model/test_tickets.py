import base64

import pytest

from control.model.errors import ModelError
from control.model.tickets import TicketKeys

A, B = bytes(32), bytes(range(32))


def test_it_is_what_was_written() -> None:
    for keys in (TicketKeys(A, 5), TicketKeys(A, 5, B)):
        assert TicketKeys.from_json(keys.to_json()) == keys


def test_what_was_current_is_previous_after_a_rotation() -> None:
    assert TicketKeys(A, 5).rotated(B, 9) == TicketKeys(B, 9, A)


def test_secrets_are_not_printed() -> None:
    shown = repr(TicketKeys(B, 5, B))
    assert repr(B)[2:10] not in shown and B.hex()[:8] not in shown and base64.b64encode(B).decode()[:8] not in shown


@pytest.mark.parametrize(
    ("doc", "word"),
    [
        ({"since": 1}, "current"),
        ({"current": base64.b64encode(A).decode()}, "since"),
        ({"current": "AAAA", "since": 1}, '"current" validation failed: expected 32 bytes'),
        ({"current": base64.b64encode(A).decode(), "previous": "!", "since": 1}, '"previous" validation failed'),
        ({"current": base64.b64encode(A).decode(), "since": 1, "next": "x"}, "next"),
    ],
)
def test_a_bad_one_is_named(doc: dict[str, object], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        TicketKeys.from_json(doc)
