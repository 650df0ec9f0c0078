import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.ctl.archive import BadArchive, digest, pack, unpack

VALUES = {"/apisix/routes/1": b'{"uri":"/"}', "/unilb/x": bytes(range(256)), "/unilb/empty": b""}


def forged(body: bytes, **head: object) -> bytes:
    full = {"format": "unilb-backup", "version": 1, "keys": 1, "revision": 1, "sha256": digest(body), **head}
    return json.dumps(full).encode() + b"\n" + body


@given(st.dictionaries(st.text(st.characters(codec="utf-8")).map("/unilb/".__add__), st.binary()))
def test_any_key_and_byte_survives(values: dict[str, bytes]) -> None:
    assert unpack(pack(values, 9)) == (values, 9)


def test_a_file_cut_anywhere_or_with_one_other_byte_is_refused() -> None:
    raw = pack(VALUES, 7)
    for end in range(len(raw)):
        with pytest.raises(BadArchive):
            unpack(raw[:end])
    body = raw.index(b"\n") + 1
    for place in range(body, len(raw), 7):
        with pytest.raises(BadArchive, match="checksum"):
            unpack(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not a backup"),
        (b"[]\n", "not a backup"),
        (b'{"format": "other"}\n', "not a backup"),
        (forged(b"", version=2, keys=0), "version 2, this program reads 1"),
        (forged(b"", keys=3), "holds 0 keys, and says 3"),
        (forged(b'{"key": "/registry/x", "value": ""}\n'), "/registry/x is not a key of unilb"),
        (forged(b'{"key": "/unilb/x"}\n'), "cannot be read"),
    ],
)
def test_what_is_no_backup_is_refused_with_the_reason(raw: bytes, says: str) -> None:
    with pytest.raises(BadArchive, match=says):
        unpack(raw)
