"""Session persistence of one exchange: which endpoint the client's cookie asks for, and what cookie it gets back."""

from control.model.sticky import Sticky
from control.model.upstream import Endpoint
from userspace.balancer.sticky import StickyTable
from userspace.http.events import Headers, RequestHead
from userspace.proxy.cookies import insert_cookie, take_cookie


class Stick:
    """`state` for the log: `valid` the cookie was honoured, `new` it had none and got one, `invalid` it had one that
    names nobody and got one, `none` it had none and got none."""

    __slots__ = ("_sticky", "_table", "_token", "endpoint", "state")

    def __init__(self, sticky: Sticky, table: StickyTable, head: RequestHead) -> None:
        """Read the cookie, and strip it from `head`: it is nobody's business behind the gateway."""
        self._sticky = sticky
        self._table = table
        self._token, head.headers = take_cookie(head.headers, sticky.cookie.encode("ascii"))
        self.endpoint: Endpoint | None = None
        self.state = "none"
        if self._token is not None:
            self.endpoint = table.endpoint_of(self._token)
            self.state = "invalid" if self.endpoint is None else "valid"

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        """Return the response's headers, with our cookie unless the client holds the current one of `endpoint`."""
        token = self._table.token_of(endpoint)
        if token is None or token == self._token:
            return headers
        if self.state == "none":
            self.state = "new"
        return insert_cookie(headers, self._sticky, token)
