"""traffic-label: mark requests by rules."""

from control.model.expr import check_expression
from control.model.parts.checks import Conf
from control.model.terms import integer, items, record

NAME = "traffic-label"
VERSION = 0.1
PRIORITY = 967

_ACTION = record({"set_headers": {"type": "object", "minProperties": 1}, "weight": integer(1, default=1)})

SCHEMA = record(
    {
        "rules": items(
            record(
                {
                    "match": items({"anyOf": [{"type": "array"}, {"type": "string"}]}, 1),
                    "actions": items(
                        record(
                            {"set_headers": {"type": "object", "minProperties": 1}, "weight": integer(1, default=1)}
                        ),
                        1,
                    ),
                },
                ["actions"],
            ),
            1,
        )
    },
    ["rules"],
)


def check(conf: Conf) -> str | None:
    for rule in conf["rules"]:
        error = check_expression(rule["match"]) if "match" in rule else None
        if error is not None:
            return f"failed to validate the 'match' expression: {error}"
    return None
