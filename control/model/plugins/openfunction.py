"""openfunction: a function in OpenFunction answers."""

from control.model.parts.fields import client, whole_body
from control.model.terms import integer, record, text

NAME = "openfunction"
VERSION = 0.1
PRIORITY = -1902

SCHEMA = record(
    {
        "authorization": record({"service_token": text()}),
        "function_uri": text(),
        "max_req_body_size": whole_body(),
        **client(integer(100, default=3000)),
    },
    ["function_uri"],
    encrypt=["authorization.service_token"],
)
