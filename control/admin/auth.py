"""Who asks: API keys and what each may do."""

import hmac
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from control.admin.reply import Reply, error


@dataclass(frozen=True, slots=True)
class AdminKey:
    """`name` is for the audit log; `key` is never shown. A viewer may only GET."""

    name: str
    key: str
    role: Literal["admin", "viewer"]

    def __repr__(self) -> str:
        return f"AdminKey({self.name!r}, role={self.role!r})"


def authenticate(request: Request, keys: tuple[AdminKey, ...]) -> AdminKey | Reply:
    """The key that the request carries (query api_key, header X-API-KEY, cookie x_api_key), or the refusal."""
    if not _sent(request):
        return _refusal("missing apikey")
    key = matching_key(request, keys)
    if key is None:
        return _refusal("wrong apikey")
    if key.role == "viewer" and request.method != "GET":
        return _refusal("invalid method for role viewer")
    return key


def matching_key(request: Request, keys: tuple[AdminKey, ...]) -> AdminKey | None:
    """The key that the request carries, whatever it may do with it; None for none or a wrong one."""
    sent = _sent(request).encode()
    # All keys are compared, whichever matches: the time says nothing about them.
    matching = [key for key in keys if hmac.compare_digest(sent, key.key.encode())]
    return matching[0] if matching else None


def _sent(request: Request) -> str:
    return (
        request.query_params.get("api_key")
        or request.headers.get("x-api-key")
        or request.headers.get("x_api_key")
        or request.cookies.get("x_api_key")
        or ""
    )


def _refusal(why: str) -> Reply:
    return error(401, "failed to check token", description=why)
