"""Sticky cookies on the wire: found, stripped and changed in requests, set and changed in responses (RFC 6265).

An inserted one is HAProxy's `cookie NAME insert indirect nocache`: the endpoint never sees it, the client gets one only
when it had none that names the endpoint which answered, and that response may not be stored by shared caches.
"""

from collections.abc import Callable

from control.model.sticky import Sticky
from userspace.http.events import Headers


def take_cookie(headers: Headers, name: bytes) -> tuple[bytes | None, Headers]:
    """Return (value of the first cookie called `name` or None, the headers without every cookie of that name).

    A Cookie field left with no pair is dropped. Without our cookie the very same list comes back. Cookie names are
    case-sensitive; a value in double quotes is returned without them.
    """
    found: bytes | None = None
    stripped: dict[int, bytes] = {}
    for index, (field, value) in enumerate(headers):
        if len(field) != 6 or field.lower() != b"cookie" or name not in value:
            continue
        kept = []
        for pair in value.split(b";"):
            key, equals, content = pair.strip(b" \t").partition(b"=")
            if equals and key.rstrip(b" \t") == name:
                if found is None:
                    found = content.strip(b' \t"')
            else:
                kept.append(pair)
        stripped[index] = b";".join(kept).strip(b" \t")
    if found is None:
        return None, headers
    return found, [
        (field, stripped.get(index, value))
        for index, (field, value) in enumerate(headers)
        if index not in stripped or stripped[index]
    ]


def set_cookie(sticky: Sticky, name: bytes, token: bytes) -> bytes:
    """Return the value of a Set-Cookie field."""
    parts = [b"%b=%b" % (name, token), b"Path=" + sticky.path.encode("ascii")]
    if sticky.domain is not None:
        parts.append(b"Domain=" + sticky.domain.encode("ascii"))
    if sticky.ttl is not None:
        parts.append(b"Max-Age=%d" % sticky.ttl)
    if sticky.secure:
        parts.append(b"Secure")
    if sticky.http_only:
        parts.append(b"HttpOnly")
    if sticky.same_site is not None:
        parts.append(b"SameSite=" + sticky.same_site.encode("ascii"))
    return b"; ".join(parts)


def insert_cookie(headers: Headers, sticky: Sticky, name: bytes, token: bytes) -> Headers:
    """Return response headers with our cookie called `name` set, a same-named one of the endpoint removed, and kept out
    of shared caches: `Cache-Control: private` is added unless the endpoint already said private or no-store."""
    private = False
    kept: Headers = []
    for field, value in headers:
        lower = field.lower()
        if lower == b"set-cookie" and value.partition(b"=")[0].strip() == name:
            continue
        if lower == b"cache-control" and (b"private" in value.lower() or b"no-store" in value.lower()):
            private = True
        kept.append((field, value))
    kept.append((b"Set-Cookie", set_cookie(sticky, name, token)))
    if not private:
        kept.append((b"Cache-Control", b"private"))
    return kept


def change_cookie(headers: Headers, name: bytes, change: Callable[[bytes], bytes]) -> Headers:
    """Return request headers with `change` made to the value of every cookie called `name`; the very same list when
    that changes nothing."""
    changed: dict[int, bytes] = {}
    for index, (field, value) in enumerate(headers):
        if len(field) != 6 or field.lower() != b"cookie" or name not in value:
            continue
        pairs = []
        for pair in value.split(b";"):
            key, equals, content = pair.partition(b"=")
            pairs.append(key + b"=" + change(content) if equals and key.strip(b" \t") == name else pair)
        changed[index] = b";".join(pairs)
    if all(headers[index][1] == value for index, value in changed.items()):
        return headers
    return [(field, changed.get(index, value)) for index, (field, value) in enumerate(headers)]


def change_set_cookie(headers: Headers, name: bytes, change: Callable[[bytes], bytes]) -> tuple[bool, Headers]:
    """Return (whether the endpoint sets a cookie called `name`, the headers with `change` made to its value)."""
    found = False
    changed: Headers = []
    for field, value in headers:
        if field.lower() == b"set-cookie" and value.partition(b"=")[0].strip() == name:
            found = True
            pair, semicolon, attributes = value.partition(b";")
            key, _, content = pair.partition(b"=")
            value = key + b"=" + change(content.strip(b" \t")) + semicolon + attributes
        changed.append((field, value))
    return found, changed if found else headers


def cookie_set(headers: Headers, name: bytes) -> bytes | None:
    """Return the value that the endpoint sets the cookie `name` to: the last one, b"" when that takes the cookie away
    (Max-Age of 0 or less, RFC 6265 section 5.2.2; or no value); None when it does not set it."""
    found = None
    for field, value in headers:
        if field.lower() == b"set-cookie" and value.partition(b"=")[0].strip() == name:
            pair, _, attributes = value.partition(b";")
            found = pair.partition(b"=")[2].strip(b' \t"')
            for attribute in attributes.split(b";"):
                key, _, age = attribute.partition(b"=")
                if key.strip().lower() == b"max-age" and (age.strip() == b"0" or age.strip().startswith(b"-")):
                    found = b""
    return found


def without_set_cookie(headers: Headers, name: bytes) -> Headers:
    """Return response headers that do not set a cookie called `name`."""
    return [(f, v) for f, v in headers if f.lower() != b"set-cookie" or v.partition(b"=")[0].strip() != name]
