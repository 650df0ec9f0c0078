"""body-transformer: change the form of a body."""

from control.model.parts.fields import whole_body
from control.model.terms import choice, flag, needs, record, text

NAME = "body-transformer"
VERSION = 0.1
PRIORITY = 1080

_FORMAT = choice("xml", "json", "encoded", "args", "plain", "multipart")
_TEMPLATE = record({"input_format": _FORMAT, "template": text(), "template_is_base64": flag()}, ["template"])

SCHEMA = record(
    {
        "request": _TEMPLATE,
        "response": _TEMPLATE,
        "max_req_body_size": whole_body(),
        "max_resp_body_size": whole_body(),
    },
    anyOf=[needs("request"), needs("response"), needs("request", "response")],
)
