"""What the plugins that run in another process share."""

from control.model.terms import flag, items, record, text

EXTERNAL = record(
    {
        "conf": items(record({"name": text(1, 128), "value": text()}, ["name", "value"]), 1),
        "allow_degradation": flag(False),
    }
)
