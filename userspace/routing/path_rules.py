"""What APISIX's options make of a path before it is matched. Endpoints get the target as the client sent it."""

import re
from dataclasses import dataclass
from typing import Final

from userspace.http.events import ProtocolError
from userspace.http.request import Request
from userspace.http.target import normalise_path

_ENCODED_SLASH: Final = re.compile(rb"%2[fF]")
_DOTS: Final = frozenset({".", ".."})
_ENCODED_DOTS: Final = frozenset({"%2e", "%2e%2e"})


@dataclass(frozen=True, slots=True)
class PathRules:
    """`keep_encoded_slash`: %2F stays what it is, so that `/a%2Fb` is one segment (match_uri_encoded_slash).
    `like_servlet`: `;x` at the end of a segment is not part of the path (normalize_uri_like_servlet).
    `drop_tail_slash`: `/a/` is `/a` (delete_uri_tail_slash)."""

    keep_encoded_slash: bool = False
    like_servlet: bool = False
    drop_tail_slash: bool = False

    def __bool__(self) -> bool:
        return self.keep_encoded_slash or self.like_servlet or self.drop_tail_slash

    def apply(self, request: Request) -> None:
        """Change `request.path` accordingly. Raises ProtocolError 400 for what only looks like a path."""
        path = request.path
        if self.keep_encoded_slash and _ENCODED_SLASH.search(request.head.target) is not None:
            raw = request.head.target.partition(b"?")[0]
            path = normalise_path(_ENCODED_SLASH.sub(b"%252F", raw)) if raw.startswith(b"/") else path
        if self.like_servlet and ";" in path:
            path = _without_parameters(path)
        if self.drop_tail_slash and len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        request.path = path


def _without_parameters(path: str) -> str:
    segments = path.split("/")
    for number, segment in enumerate(segments):
        kept, semicolon, _ = segment.partition(";")
        if not semicolon:
            continue
        # A servlet would take these for steps up, or for slashes, which no route here was asked about.
        lower = kept.lower()
        is_hidden = kept in _DOTS or lower in _ENCODED_DOTS or "%2f" in lower or "%00" in lower
        if is_hidden or (not kept and number < len(segments) - 1):
            raise ProtocolError(400, "path parameter behind what is no segment")
        segments[number] = kept
    return "/".join(segments)
