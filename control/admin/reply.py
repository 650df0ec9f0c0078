"""What the Admin API answers: status, JSON, and the errors that every resource shares."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

# `APISIX/x.y.z` comes first: APISIX's own tools read the version from it.
SERVER = "APISIX/3.18.0 unilb/0.1"
# Any page may ask, as with APISIX: what protects the API is the key, which no browser adds by itself.
_HEADERS = {
    "Server": SERVER,
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
    "Access-Control-Max-Age": "3600",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is JSON-able, or bytes that are JSON already, or a str of plain text. `revision`: of the store after a
    write."""

    status: int
    body: Any
    revision: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_response(self) -> Response:
        """As Starlette sends it; JSON ends in a newline, plain text does not, as with APISIX."""
        headers = {**_HEADERS, **self.headers}
        if self.revision is not None:
            headers["X-Unilb-Revision"] = str(self.revision)
        if isinstance(self.body, str):
            return Response(self.body, self.status, headers, media_type="text/plain")
        body = self.body if isinstance(self.body, bytes) else dump(self.body)
        return Response(body + b"\n", self.status, headers, media_type="application/json")


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def error(status: int, message: str, **more: str) -> Reply:
    """An error in APISIX's form."""
    return Reply(status, {"error_msg": message, **more})


NOT_FOUND = Reply(404, {"message": "Key not found"})
PREFLIGHT = Reply(
    200,
    {},
    headers={
        "Access-Control-Allow-Methods": "POST, GET, PUT, OPTIONS, DELETE, PATCH",
        "Access-Control-Allow-Headers": "*",
    },
)
UNKNOWN_METHOD = error(404, "not found")
CONFLICT = error(503, "value changed before overwritten")
