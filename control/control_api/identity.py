"""Which process answers."""

import socket
import time
import uuid

from starlette.requests import Request
from starlette.responses import Response

from control.admin.reply import Reply

VERSION = "3.18.0"


class Identity:
    """An id that lives as long as the process."""

    def __init__(self) -> None:
        self._known = {
            "id": str(uuid.uuid4()),
            "hostname": socket.gethostname(),
            "version": VERSION,
            "etcd_version": "unknown",
            "boot_time": int(time.time()),
        }

    async def show(self, request: Request) -> Response:
        """The identity as JSON."""
        return Reply(200, self._known).to_response()
