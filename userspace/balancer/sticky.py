"""Sticky tokens: a cookie value that names an endpoint to every gateway, and tells nobody else which one it is."""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint

TAG_BYTES: Final = 16


def token(key: bytes, upstream_id: str, address: str) -> bytes:
    """Return base64url(HMAC-SHA256(key, upstream_id NUL address)[:16]) without padding: 22 ASCII bytes.

    `address` is host:port. Bound to the upstream, so that one tenant's token means nothing to another's upstream.
    """
    message = upstream_id.encode() + b"\x00" + address.encode()
    return urlsafe_b64encode(hmac.digest(key, message, "sha256")[:TAG_BYTES]).rstrip(b"=")


class StickyTable:
    """The tokens of one upstream's endpoints under both live keys: made when it is compiled, looked up by requests.

    Drained endpoints (weight 0) keep their tokens: their sessions stay until they end. Nothing is computed from what a
    client sends, so a forged token costs one lookup and tells nothing.
    """

    __slots__ = ("_by_endpoint", "_by_token")

    def __init__(self, upstream_id: str, endpoints: tuple[Endpoint, ...], keys: StickyKeys | None) -> None:
        self._by_token: dict[bytes, Endpoint] = {}
        self._by_endpoint: dict[Endpoint, bytes] = {}
        if keys is None:
            return
        # An address that is its own last resort is meant where it stands highest.
        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.priority):
            if keys.previous is not None:
                self._by_token[token(keys.previous, upstream_id, endpoint.address)] = endpoint
            current = token(keys.current, upstream_id, endpoint.address)
            self._by_token[current] = endpoint
            self._by_endpoint[endpoint] = current

    def endpoint_of(self, token: bytes) -> Endpoint | None:
        """Return the endpoint that a token of either live key names, or None for any other bytes."""
        return self._by_token.get(token)

    def token_of(self, endpoint: Endpoint) -> bytes | None:
        """Return the token to issue for `endpoint`, under the current key; None without keys or for a stranger.

        A request whose token named `endpoint` but differs from this one carries the previous key's: issue this one.
        """
        return self._by_endpoint.get(endpoint)


NO_TOKENS: Final = StickyTable("", (), None)
