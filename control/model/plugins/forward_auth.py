"""forward-auth: another service decides."""

from control.model.parts.fields import HEADER_NAME, client, whole_body
from control.model.terms import choice, flag, integer, items, mapping, record, text

NAME = "forward-auth"
VERSION = 0.1
PRIORITY = 2002

SCHEMA = record(
    {
        "uri": text(),
        "allow_degradation": flag(False),
        "status_on_error": integer(200, 599, default=403),
        "request_method": choice("GET", "POST", default="GET"),
        "request_headers": items(text(), default=[]),
        "extra_headers": mapping(text(), HEADER_NAME, 1),
        "upstream_headers": items(text(), default=[]),
        "client_headers": items(text(), default=[]),
        "max_req_body_size": whole_body(),
        **client(integer(1, 60000, default=3000)),
    },
    ["uri"],
)
