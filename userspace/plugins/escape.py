"""What of a path has to be escaped in a request target, as nginx escapes it."""

from typing import Final

# ngx.escape_uri with NGX_ESCAPE_URI: controls, space, what is not ASCII, and what would end the path or an escape.
_ESCAPED: Final = tuple(
    b"%%%02X" % byte if byte <= 0x20 or byte >= 0x7F or byte in b"#%?" else bytes((byte,)) for byte in range(256)
)


def escape_path(path: str) -> bytes:
    """Return a decoded path (bytes that are no UTF-8 as surrogate escapes) as it may stand in a target."""
    return b"".join([_ESCAPED[byte] for byte in path.encode("utf-8", "surrogateescape")])


def split_escaped(target: str) -> tuple[bytes, bytes | None]:
    """Return (path escaped, what follows its first `?` as it is, or None)."""
    path, mark, query = target.partition("?")
    return escape_path(path), query.encode("utf-8", "surrogateescape") if mark else None
