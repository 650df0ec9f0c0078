"""What the plugins that send log entries share."""

from control.model.terms import Schema, flag, integer, items, record, text


def batches(name: str, size: int = 1000) -> Schema:
    """How log entries are sent together; times in seconds."""
    return {
        "name": text(default=name),
        "max_retry_count": integer(0, default=0),
        "retry_delay": integer(0, default=1),
        "buffer_duration": integer(1, default=60),
        "inactive_timeout": integer(1, default=5),
        "batch_max_size": integer(1, default=size),
    }


FORMATS: Schema = {"log_format": {"type": "object"}, "log_format_extra": {"type": "object"}}
BODIES: Schema = {
    "include_req_body": flag(False),
    "include_req_body_expr": items({"type": "array"}, 1),
    "include_resp_body": flag(False),
    "include_resp_body_expr": items({"type": "array"}, 1),
    "max_req_body_bytes": integer(1, default=524288),
    "max_resp_body_bytes": integer(1, default=524288),
}
PENDING: Schema = {"max_pending_entries": integer(1, default=8192)}
LOG_METADATA = record({**FORMATS, **PENDING})
