"""grpc-web: gRPC for browsers."""

from control.model.parts.fields import whole_body
from control.model.terms import record, text

NAME = "grpc-web"
VERSION = 0.1
PRIORITY = 505

SCHEMA = record(
    {
        "cors_allow_headers": text(default="content-type,x-grpc-web,x-user-agent"),
        "max_req_body_size": whole_body(),
    }
)
