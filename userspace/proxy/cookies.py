"""The sticky cookie on the wire: found in and stripped from requests, set on responses (RFC 6265).

HAProxy's `cookie NAME insert indirect nocache`: the endpoint never sees our cookie, the client gets one only when it
had none that names the endpoint which answered, and that response may not be stored by shared caches.
"""

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


def set_cookie(sticky: Sticky, token: bytes) -> bytes:
    """Return the value of a Set-Cookie field."""
    parts = [b"%b=%b" % (sticky.cookie.encode("ascii"), token), b"Path=" + sticky.path.encode("ascii")]
    if sticky.ttl is not None:
        parts.append(b"Max-Age=%d" % sticky.ttl)
    if sticky.secure:
        parts.append(b"Secure")
    if sticky.http_only:
        parts.append(b"HttpOnly")
    if sticky.same_site is not None:
        parts.append(b"SameSite=" + sticky.same_site.encode("ascii"))
    return b"; ".join(parts)


def insert_cookie(headers: Headers, sticky: Sticky, token: bytes) -> Headers:
    """Return response headers with our cookie set, a same-named one of the endpoint removed, and kept out of shared
    caches: `Cache-Control: private` is added unless the endpoint already said private or no-store."""
    ours = sticky.cookie.encode("ascii")
    private = False
    kept: Headers = []
    for field, value in headers:
        name = field.lower()
        if name == b"set-cookie" and value.partition(b"=")[0].strip() == ours:
            continue
        if name == b"cache-control" and (b"private" in value.lower() or b"no-store" in value.lower()):
            private = True
        kept.append((field, value))
    kept.append((b"Set-Cookie", set_cookie(sticky, token)))
    if not private:
        kept.append((b"Cache-Control", b"private"))
    return kept
