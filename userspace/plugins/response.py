"""Response: the answer to a request, as the header filters see and change it."""

from collections.abc import Callable

from userspace.http.events import Headers

Transform = Callable[[bytes, bool], bytes]
"""Some of a body, and whether it is the last of it (then the data may be empty) -> what goes on instead."""

Coding = Callable[["Response"], Transform | None]
"""Asked at the very end how the body of a response is to be coded: None, it is not."""

Observer = Callable[[bytes], None]
"""Is shown some of a body on its way to the client."""


class Response:
    """`is_ours`: no endpoint sent it. `headers` has no framing fields that count: those are written for what the body
    becomes. `upstream_status`: nginx's variable, so far. `transform` may be called by header filters only; transforms
    run in the order they came."""

    __slots__ = ("_coding", "headers", "is_ours", "observers", "status", "transforms", "upstream_status")

    def __init__(self, status: int, headers: Headers, is_ours: bool, upstream_status: str | None = None) -> None:
        self.upstream_status = upstream_status
        self.status = status
        self.headers = headers
        self.is_ours = is_ours
        self.transforms: list[Transform] = []
        self.observers: list[Observer] = []
        self._coding: Coding | None = None

    def header(self, name: bytes) -> bytes | None:
        """The value of the first field called `name` (lower case), or None."""
        return next((value for field, value in self.headers if field.lower() == name), None)

    def header_values(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name` (lower case), in order."""
        return [value for field, value in self.headers if field.lower() == name]

    def set_header(self, name: bytes, value: bytes) -> None:
        """Leave one field called `name`."""
        lower = name.lower()
        kept = [pair for pair in self.headers if pair[0].lower() != lower]
        kept.append((name, value))
        self.headers = kept

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a field, also where there is one called `name`."""
        self.headers = [*self.headers, (name, value)]

    def remove_header(self, name: bytes) -> None:
        """Remove all fields called `name`."""
        lower = name.lower()
        self.headers = [pair for pair in self.headers if pair[0].lower() != lower]

    def transform(self, function: Transform) -> None:
        """Have the body pass through `function`. Its length is then not known beforehand, and what was said of the body
        as it was (Content-Length, Last-Modified, ETag) goes, as APISIX's clear_header_as_body_modified has it."""
        self.transforms.append(function)
        gone = (b"content-length", b"last-modified", b"etag")
        self.headers = [pair for pair in self.headers if pair[0].lower() not in gone]

    def observe(self, function: Observer) -> None:
        """Have `function` see the body as the client gets it, ahead of what `code_by` makes of it. May be called by
        header filters only."""
        self.observers.append(function)

    def code_by(self, function: Coding) -> None:
        """Ask `function` how the body is coded behind all transforms, once all header filters are through."""
        self._coding = function

    def coder(self) -> Transform | None:
        """Return what codes the body on its way to the client; the headers say so from now on. Only for an answer that
        has a body, and behind the header filters."""
        return None if self._coding is None else self._coding(self)
