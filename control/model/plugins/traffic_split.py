"""traffic-split: send shares of the requests to other upstreams."""

from control.model import upstream
from control.model.parts.checks import Conf, vars_problem
from control.model.parts.fields import OBJECT_ID
from control.model.terms import integer, items, record

NAME = "traffic-split"
VERSION = 0.1
PRIORITY = 966

_CHOICE = record({"upstream_id": OBJECT_ID, "upstream": upstream.SCHEMA, "weight": integer(0, default=1)})
SCHEMA = record(
    {
        "rules": items(
            record(
                {
                    "match": items(record({"vars": {"type": "array"}})),
                    "weighted_upstreams": items(_CHOICE, 1, 20, default=[{"weight": 1}]),
                }
            )
        )
    }
)
STREAM_SCHEMA = SCHEMA


def check(conf: Conf) -> str | None:
    for rule in conf.get("rules", ()):
        for match in rule.get("match", ()):
            error = vars_problem(match.get("vars"))
            if error is not None:
                return error
    return None
