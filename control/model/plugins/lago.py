"""lago: usage to Lago."""

from control.model.parts.fields import URL, client
from control.model.parts.logs import PENDING, batches
from control.model.terms import integer, items, mapping, record, text

NAME = "lago"
VERSION = 0.1
PRIORITY = 415

SCHEMA = record(
    {
        "endpoint_addrs": items(text(pattern=URL), 1),
        "endpoint_uri": text(1, default="/api/v1/events/batch"),
        "token": text(),
        "event_transaction_id": text(),
        "event_subscription_id": text(),
        "event_code": text(),
        "event_properties": mapping(text(1)),
        **client(integer(1, 60000, default=3000)),
        **batches("lago logger", 100),
    },
    ["endpoint_addrs", "token", "event_transaction_id", "event_subscription_id", "event_code"],
    encrypt=["token"],
)
METADATA_SCHEMA = record(PENDING)
