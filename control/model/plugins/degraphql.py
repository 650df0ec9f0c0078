"""degraphql: a GraphQL query behind a plain address."""

from control.model.parts.fields import whole_body
from control.model.terms import items, record, text

NAME = "degraphql"
VERSION = 0.1
PRIORITY = 509

SCHEMA = record(
    {
        "query": text(1, 1024),
        "variables": items(text(), 1),
        "operation_name": text(1, 1024),
        "max_req_body_size": whole_body(),
    },
    ["query"],
)
