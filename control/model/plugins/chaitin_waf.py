"""chaitin-waf: ask a web application firewall."""

from control.model.parts.checks import Conf, vars_problem
from control.model.terms import choice, flag, integer, items, record, text

NAME = "chaitin-waf"
VERSION = 0.1
PRIORITY = 2700

_MODE = choice("off", "monitor", "block")
_DEFAULTS = {
    "connect_timeout": 1000,
    "send_timeout": 1000,
    "read_timeout": 1000,
    "req_body_size": 1024,
    "keepalive_size": 256,
    "keepalive_timeout": 60000,
}

SCHEMA = record(
    {
        "mode": _MODE,
        "match": items(record({"vars": {"type": "array"}})),
        "append_waf_resp_header": flag(True),
        "append_waf_debug_header": flag(False),
        "config": record({**{name: integer() for name in _DEFAULTS}, "real_client_ip": flag()}),
    }
)
METADATA_SCHEMA = record(
    {
        "mode": _MODE,
        "nodes": items(
            record({"host": text(pattern=r"^\*?[0-9a-zA-Z-._\[\]:/]+$"), "port": integer(1, default=80)}, ["host"]), 1
        ),
        "config": record(
            {**{name: integer(default=value) for name, value in _DEFAULTS.items()}, "real_client_ip": flag(True)},
            default={},
        ),
    },
    ["nodes"],
)


def check(conf: Conf) -> str | None:
    for match in conf.get("match", ()):
        error = vars_problem(match.get("vars"))
        if error is not None:
            return error
    return None
