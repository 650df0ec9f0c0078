"""The page that a status alone is answered with: what nginx writes where a plugin of APISIX names no body."""

from http import HTTPStatus
from typing import Final

from userspace.plugins.outcome import Reply

HTML: Final = (b"Content-Type", b"text/html; charset=utf-8")

# Where nginx's words are not RFC 9110's.
_TITLES: Final = {
    408: "Request Time-out",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    416: "Requested Range Not Satisfiable",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
# The statuses that it has a page for.
_PAGES: Final = frozenset((*range(301, 304), 307, 308, *range(400, 417), 421, 429, *range(500, 506), 507))


def page(status: int, *headers: tuple[bytes, bytes]) -> Reply:
    """Return an answer of `status` with its page; without a body where nginx has none."""
    if status not in _PAGES:
        return Reply(status, b"", headers)
    title = f"{status} {_TITLES.get(status) or HTTPStatus(status).phrase}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>unilb</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, body.encode(), (HTML, *headers))
