"""workflow: rules that end in an action."""

from control.model.expr import check_expression
from control.model.parts.checks import Conf
from control.model.plugin import Plugins
from control.model.schema import on_demand
from control.model.terms import integer, items, record

NAME = "workflow"
VERSION = 0.1
PRIORITY = 1006

SCHEMA = record(
    {
        "rules": items(
            record(
                {
                    "case": items({"anyOf": [{"type": "array"}, {"type": "string"}]}, 1),
                    "actions": items({"type": "array", "minItems": 1}),
                },
                ["actions"],
            )
        )
    },
    ["rules"],
)
_check_return = on_demand(record({"code": integer(100, 599)}, ["code"]))
_LIMITS = ("limit-conn", "limit-count", "limit-req")


def check_with(conf: Conf, plugins: Plugins) -> str | None:
    """As `check`, with the other plugins at hand."""
    for rule in conf["rules"]:
        error = check_expression(rule["case"]) if "case" in rule else None
        if error is not None:
            return f"failed to validate the 'case' expression: {error}"
        for name, *rest in rule["actions"]:
            inner = rest[0] if rest else {}
            if name == "return":
                error = _check_return(inner)
            elif name in _LIMITS:
                error = plugins[name].problem(inner, "route", plugins)
            else:
                return f"unsupported action: {name}"
            if error is not None:
                return f"failed to validate the '{name}' action: {error}"
    return None
