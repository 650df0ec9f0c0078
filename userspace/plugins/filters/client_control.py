"""client-control: how long a body the client may send."""

from userspace.http.request import Request
from userspace.plugins.filter import Filter
from userspace.plugins.outcome import Outcome
from userspace.plugins.page import page


class ClientControl(Filter):
    NAME = "client-control"

    def rewrite(self, request: Request) -> Outcome:
        most: int | None = self.conf.get("max_body_size")
        if most is None:
            return None
        request.max_body_bytes = most
        length = request.head.body
        # A chunked body is counted as it comes.
        return page(413) if 0 < most < (length or 0) else None
