"""fault-injection: answer wrongly or late, on purpose."""

from control.model.expr import check_expression
from control.model.parts.checks import Conf
from control.model.parts.fields import HEADERS
from control.model.terms import Schema, integer, items, number, record, text

NAME = "fault-injection"
VERSION = 0.1
PRIORITY = 11000

_WHEN: Schema = {"percentage": integer(0, 100), "vars": items({"type": "array"}, at_most=20)}

SCHEMA = record(
    {
        "abort": record(
            {"http_status": integer(200), "body": text(0), "headers": HEADERS, **_WHEN},
            ["http_status"],
        ),
        "delay": record({"duration": number(0), **_WHEN}, ["duration"]),
    },
    minProperties=1,
)


def check(conf: Conf) -> str | None:
    for part in ("abort", "delay"):
        for rules in conf.get(part, {}).get("vars", ()):
            error = check_expression(rules)
            if error is not None:
                return f"failed to create vars expression: {error}"
    return None
