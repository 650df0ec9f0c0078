"""oas-validator: requests must match an OpenAPI document."""

from control.model.parts.checks import Conf, json_problem
from control.model.parts.fields import whole_body
from control.model.terms import flag, integer, needs, record, text

NAME = "oas-validator"
VERSION = 0.1
PRIORITY = 512

SCHEMA = record(
    {
        "spec": text(1),
        "spec_url": text(pattern="^https?://"),
        "spec_url_request_headers": {"type": "object", "additionalProperties": text()},
        "ssl_verify": flag(False),
        "timeout": integer(1000, 60000, default=10000),
        "verbose_errors": flag(False),
        "skip_request_body_validation": flag(False),
        "skip_request_header_validation": flag(False),
        "skip_query_param_validation": flag(False),
        "skip_path_params_validation": flag(False),
        "reject_if_not_match": flag(True),
        "rejection_status_code": integer(400, 599, default=400),
        "max_req_body_size": whole_body(),
    },
    oneOf=[needs("spec"), needs("spec_url")],
)
METADATA_SCHEMA = record({"spec_url_ttl": integer(1, default=3600)})


def check(conf: Conf) -> str | None:
    error = json_problem(conf["spec"]) if "spec" in conf else None
    return None if error is None else f"invalid JSON string provided, err: {error}"
