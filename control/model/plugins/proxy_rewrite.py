"""proxy-rewrite: change a request before it goes to the upstream."""

from control.model.parts.checks import Conf, header_problem, regex_problem
from control.model.parts.fields import HEADER_NAME, HEADERS, ONE_LINE
from control.model.terms import choice, flag, items, mapping, number, one_of, record, text

NAME = "proxy-rewrite"
VERSION = 0.1
PRIORITY = 1008

_VALUE = one_of(text(), number(), items(ONE_LINE, 1))
_MORE = mapping(_VALUE, HEADER_NAME, 1)
_NAMES = items(text(pattern=HEADER_NAME), 1)
_METHODS = ("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND")

SCHEMA = record(
    {
        "uri": text(1, 4096, r"^\/.*"),
        "method": choice(*_METHODS, "LOCK", "UNLOCK", "PATCH", "TRACE"),
        "regex_uri": items(text(), 2),
        "host": text(pattern=r"^[0-9a-zA-Z-.]+(:\d{1,5})?$"),
        "headers": one_of(
            record(
                {"add": _MORE, "set": _MORE, "remove": items(text(pattern=HEADER_NAME), 1)},
                closed=True,
                minProperties=1,
            ),
            HEADERS,
        ),
        "use_real_request_uri_unsafe": flag(False),
    },
    minProperties=1,
)


def check(conf: Conf) -> str | None:
    pairs = conf.get("regex_uri", [])
    if len(pairs) % 2:
        return "The length of regex_uri should be an even number"
    for pattern, replacement in zip(pairs[::2], pairs[1::2], strict=True):
        error = regex_problem(pattern)
        if error is not None:
            return f"invalid regex_uri({pattern}, {replacement}): {error}"
    return header_problem(conf.get("headers", {}))
