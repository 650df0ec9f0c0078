"""brotli: compress answers better."""

from control.model.terms import among, any_of, flag, integer, items, record, text

NAME = "brotli"
VERSION = 0.1
PRIORITY = 996
DEFAULT = False

SCHEMA = record(
    {
        "types": any_of(items(text(1), 1), among("*"), default=["text/html"]),
        "min_length": integer(1, default=20),
        "mode": integer(0, 2, default=0),
        "comp_level": integer(0, 11, default=6),
        "lgwin": {"type": "integer"} | among(0, *range(10, 25), default=19),
        "lgblock": {"type": "integer"} | among(0, *range(16, 25), default=0),
        "http_version": among(1.1, 1, default=1.1),
        "vary": flag(),
    }
)
