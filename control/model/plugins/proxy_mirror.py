"""proxy-mirror: send a copy of the requests elsewhere."""

from control.model.parts.fields import SAMPLE_RATIO
from control.model.terms import choice, record, text

NAME = "proxy-mirror"
VERSION = 0.1
PRIORITY = 1010

SCHEMA = record(
    {
        "host": text(pattern=r"^(http(s)?|grpc(s)?):\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(:\d+)?$"),
        "path": text(pattern="^/[^?&]+$"),
        "path_concat_mode": choice("replace", "prefix", default="replace"),
        "sample_ratio": {**SAMPLE_RATIO, "default": 1},
    },
    ["host"],
)
