"""redirect: answer with another address."""

from control.model.parts.checks import Conf, regex_problem
from control.model.terms import flag, integer, items, needs, record, text

NAME = "redirect"
VERSION = 0.1
PRIORITY = 900

SCHEMA = record(
    {
        "ret_code": integer(200, default=302),
        "uri": text(2, pattern=r"(\\\$[0-9a-zA-Z_]+)|\$\{([0-9a-zA-Z_]+)\}|\$([0-9a-zA-Z_]+)|(\$|[^$\\]+)"),
        "regex_uri": items(text(), 2, 2),
        "http_to_https": flag(),
        "encode_uri": flag(False),
        "append_query_string": flag(False),
    },
    oneOf=[needs("uri"), needs("regex_uri"), needs("http_to_https")],
)


def check(conf: Conf) -> str | None:
    pair = conf.get("regex_uri")
    if pair:
        error = regex_problem(pair[0])
        if error is not None:
            return f"invalid regex_uri({pair[0]}, {pair[1]}): {error}"
    if conf.get("http_to_https") and conf.get("append_query_string"):
        return "only one of `http_to_https` and `append_query_string` can be configured."
    return None
