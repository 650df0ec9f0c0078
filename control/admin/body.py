"""Request bodies: read within limits, decoded as APISIX decodes them."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from control.admin.reply import Reply, dump, error

MAX_BYTES = 1_572_864
MAX_DEPTH = 100
# Seconds for the whole body.
READ_TIMEOUT = 30.0


async def read_body(request: Request) -> bytes | Reply:
    """The raw body, or the refusal."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:15]) > MAX_BYTES:
        return _too_big(int(length[:15]))
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BYTES:
                    return _too_big(size)
                parts.append(part)
    except TimeoutError:
        return error(408, "invalid request body: timed out")
    except ClientDisconnect:
        return error(400, "invalid request body: the client went away")
    return b"".join(parts)


def parse_body(raw: bytes) -> Any:
    """Decode JSON; raises ValueError with the reason.

    As in lua-cjson, control characters may stand in strings and 5.0 is the integer 5. Refused beyond JSON's grammar:
    NaN, lone surrogates, nesting over MAX_DEPTH: none of them could be stored and read back.
    """
    try:
        value = json.loads(raw.decode(), strict=False, parse_float=_number, parse_constant=_refuse_constant)
        _check_depth(value)
        dump(value)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    return value


def bad_json(raw: bytes, reason: ValueError) -> Reply:
    """The refusal of a body that `parse_body` refused."""
    return error(400, f"invalid request body: {reason}", req_body=raw.decode(errors="replace"))


def _number(text: str) -> float | int:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {text[:40]}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _too_big(size: int) -> Reply:
    return error(
        400,
        f"invalid request body: request size {size} is greater than the maximum size {MAX_BYTES} allowed",
    )
