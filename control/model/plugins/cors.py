"""cors: let browsers of other origins read the answers."""

from control.model.parts.checks import Conf, first_regex_problem
from control.model.terms import flag, integer, items, record, text

NAME = "cors"
VERSION = 0.1
PRIORITY = 4000

_ORIGINS = r"^(\*|\*\*|null|\w+://[^,]+(,\w+://[^,]+)*)$"
_NAMES = items(text(1, 4096), 1, unique=True)

SCHEMA = record(
    {
        "allow_origins": text(pattern=_ORIGINS, default="*"),
        "allow_methods": text(default="*"),
        "allow_headers": text(default="*"),
        "expose_headers": text(),
        "max_age": integer(default=5),
        "allow_credential": flag(False),
        "allow_origins_by_regex": _NAMES,
        "allow_origins_by_metadata": _NAMES,
        "timing_allow_origins": text(pattern=_ORIGINS),
        "timing_allow_origins_by_regex": _NAMES,
    }
)
METADATA_SCHEMA = record({"allow_origins": {"type": "object", "additionalProperties": text(pattern=_ORIGINS)}})


def check(conf: Conf) -> str | None:
    if conf.get("allow_credential") and "*" in (
        conf.get("allow_origins", "*"),
        conf.get("allow_methods", "*"),
        conf.get("allow_headers", "*"),
        conf.get("expose_headers"),
        conf.get("timing_allow_origins"),
    ):
        return "you can not set '*' for other option when 'allow_credential' is true"
    return first_regex_problem(
        [*conf.get("allow_origins_by_regex", ()), *conf.get("timing_allow_origins_by_regex", ())]
    )
