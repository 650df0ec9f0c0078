"""Forms in bodies and queries, urlencoded and multipart: their fields. What is malformed is left out, not refused."""

import re
from typing import Final
from urllib.parse import unquote_plus

MAX_FIELDS: Final = 1000
"""Fields that are looked at; APISIX stops at 100 unless told otherwise, nginx never."""

_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME: Final = re.compile(rb'[;\s]name="?([^";\r\n]*)"?', re.IGNORECASE)


def urlencoded(form: bytes) -> dict[str, list[str]]:
    """Return the values of each field in order; "" for one without `=`."""
    found: dict[str, list[str]] = {}
    if form:
        for pair in form.decode("latin-1").split("&", MAX_FIELDS)[:MAX_FIELDS]:
            name, _, value = pair.partition("=")
            if name:
                found.setdefault(_decoded(name), []).append(_decoded(value))
    return found


def multipart(body: bytes, content_type: str) -> dict[str, list[str]]:
    """Return the values of each field of a multipart/form-data body, files included, in order."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return {}
    mark = b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    found: dict[str, list[str]] = {}
    # What stands before the first mark and behind the closing one (`--boundary--`) belongs to nobody.
    for part in body.split(mark, MAX_FIELDS + 1)[1 : MAX_FIELDS + 1]:
        if part.startswith(b"--"):
            break
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if blank and name is not None:
            text = value.removesuffix(b"\r\n").decode("utf-8", "surrogateescape")
            found.setdefault(name[1].decode("utf-8", "surrogateescape"), []).append(text)
    return found


def _decoded(text: str) -> str:
    """Escapes decoded as UTF-8; bytes that came unescaped too."""
    if text.isascii():
        return unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text
    raw = text.replace("+", " ").encode("latin-1")
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda escape: bytes((int(escape[1], 16),)), raw).decode(
        "utf-8", "surrogateescape"
    )
