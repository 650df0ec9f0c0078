"""response-rewrite: change a response before it goes to the client."""

from control.model.parts.checks import Conf, header_problem, is_base64, regex_problem, vars_problem
from control.model.parts.fields import HEADER_NAME, HEADERS, whole_body
from control.model.terms import any_of, choice, flag, integer, items, needs, record, text

NAME = "response-rewrite"
VERSION = 0.1
PRIORITY = 899

_FLAGS = set("aDdijJmosUux")

SCHEMA = record(
    {
        "headers": any_of(
            HEADERS,
            {
                "properties": {
                    "add": items(text(pattern="^[^:]+:[^:]*[^/]$"), 1),
                    "set": HEADERS,
                    "remove": items(text(pattern=HEADER_NAME), 1),
                }
            },
        ),
        "body": text(),
        "body_base64": flag(False),
        "status_code": integer(200, 598),
        "vars": {"type": "array"},
        "filters": items(
            record(
                {
                    "regex": text(1),
                    "scope": choice("once", "global", default="once"),
                    "replace": text(),
                    "options": text(default="jo"),
                },
                ["regex", "replace"],
            ),
            1,
        ),
        "max_resp_body_size": whole_body(),
    },
    dependencies={"body": {"not": needs("filters")}, "filters": {"not": needs("body")}},
)


def check(conf: Conf) -> str | None:
    error = vars_problem(conf.get("vars"))
    if error is not None:
        return error
    if conf.get("body_base64") and not is_base64(conf.get("body", "")):
        return "invalid base64 content"
    for filter in conf.get("filters", ()):
        flags = filter.get("options", "jo")
        unknown = [flag for flag in flags if flag not in _FLAGS]
        error = f'unknown flag "{unknown[0]}" (flags "{flags}")' if unknown else regex_problem(filter["regex"])
        if error is not None:
            return f'regex "{filter["regex"]}" validation failed: {error}'
    return header_problem(conf.get("headers", {}))
