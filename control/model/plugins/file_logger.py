"""file-logger: log to a file."""

from control.model.expr import check_expression
from control.model.parts.checks import Conf, log_problem
from control.model.parts.logs import BODIES, FORMATS
from control.model.terms import items, record, text

NAME = "file-logger"
VERSION = 0.1
PRIORITY = 399

SCHEMA = record(
    {"path": text(), **FORMATS, **BODIES, "match": items({"type": "array"}, at_most=20)},
)
METADATA_SCHEMA = record({"path": text(), **FORMATS})


def check(conf: Conf) -> str | None:
    for rules in conf.get("match", ()):
        error = check_expression(rules)
        if error is not None:
            return f"failed to validate the 'match' expression: {error}"
    return log_problem(conf)
