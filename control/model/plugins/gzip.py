"""gzip: compress answers."""

from control.model.terms import among, any_of, flag, integer, items, record, text

NAME = "gzip"
VERSION = 0.1
PRIORITY = 995

SCHEMA = record(
    {
        "types": any_of(items(text(1), 1), among("*"), default=["text/html"]),
        "min_length": integer(1, default=20),
        "comp_level": integer(1, 9, default=1),
        "http_version": among(1.1, 1, default=1.1),
        "buffers": record(
            {"number": integer(1, default=32), "size": integer(1, default=4096)},
            default={"number": 32, "size": 4096},
        ),
        "vary": flag(),
    }
)
