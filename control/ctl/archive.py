"""The file of `backup` and `restore`: a line about it, then a line per key. Pure.

{"format": "unilb-backup", "version": 1, "keys": 2, "revision": 7, "sha256": "..."}      of all that follows
{"key": "/apisix/routes/1", "value": "{...}"}                                          or "base64" for other bytes
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = "unilb-backup"
VERSION = 1
# Below these stands all that unilb keeps in a store.
ROOTS = ("/apisix/", "/unilb/")


class BadArchive(ValueError):
    """Not a complete backup."""


def pack(values: Mapping[str, bytes], revision: int) -> bytes:
    """A backup of these keys, as they were at one revision of the store."""
    body = "".join(f"{json.dumps({'key': key, **_value(value)})}\n" for key, value in sorted(values.items())).encode()
    head = {"format": FORMAT, "version": VERSION, "keys": len(values), "revision": revision, "sha256": digest(body)}
    return json.dumps(head).encode() + b"\n" + body


def unpack(raw: bytes) -> tuple[dict[str, bytes], int]:
    """Keys and revision of a backup; nothing is believed before the checksum is right. Raises BadArchive."""
    first, _, body = raw.partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(first)
        if head["format"] != FORMAT:
            raise KeyError
    except (ValueError, KeyError, TypeError):
        raise BadArchive("it is not a backup of unilb") from None
    if head.get("version") != VERSION:
        raise BadArchive(f"its format is version {head.get('version')}, this program reads {VERSION}")
    if head.get("sha256") != digest(body):
        raise BadArchive("its checksum is wrong: it is damaged or not complete")
    try:
        values = dict(_read(body.splitlines()))
    except (ValueError, KeyError, TypeError) as error:
        raise BadArchive(f"a key of it cannot be read: {error}") from None
    foreign = next((key for key in values if not key.startswith(ROOTS)), None)
    if foreign is not None:
        raise BadArchive(f"{foreign} is not a key of unilb")
    if len(values) != head.get("keys"):
        raise BadArchive(f"it holds {len(values)} keys, and says {head.get('keys')}")
    return values, int(head["revision"])


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _value(value: bytes) -> dict[str, str]:
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _read(lines: Iterable[bytes]) -> Iterable[tuple[str, bytes]]:
    for line in lines:
        entry = json.loads(line)
        value = entry["value"].encode() if "value" in entry else base64.b64decode(entry["base64"])
        yield entry["key"], value
