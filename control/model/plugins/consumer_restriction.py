"""consumer-restriction: which consumers, services, routes or groups may pass."""

from control.model.fields import METHODS
from control.model.parts.fields import STATUS
from control.model.terms import choice, items, needs, record, text

NAME = "consumer-restriction"
VERSION = 0.1
PRIORITY = 2400

SCHEMA = record(
    {
        "type": choice("consumer_name", "service_id", "route_id", "consumer_group_id", default="consumer_name"),
        "blacklist": items(text(), 1),
        "whitelist": items(text(), 1),
        "allowed_by_methods": items(record({"user": text(), "methods": items(choice(*METHODS), 1)})),
        "rejected_code": STATUS,
        "rejected_msg": text(),
    },
    anyOf=[needs("blacklist"), needs("whitelist"), needs("allowed_by_methods")],
)
