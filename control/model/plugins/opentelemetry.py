"""opentelemetry: spans to an OpenTelemetry collector."""

from control.model.terms import choice, flag, integer, items, number, one_of, record, text

NAME = "opentelemetry"
VERSION = 0.1
PRIORITY = 12009
DEFAULT = False

_FRACTION = number(default=0)
_ANY = {"type": "object", "additionalProperties": one_of(flag(), number(), text())}
_ROOT = record(
    {
        "name": choice("always_on", "always_off", "trace_id_ratio", default="always_off"),
        "options": record({"fraction": _FRACTION}, default={"fraction": 0}),
    },
    default={"name": "always_off", "options": {"fraction": 0}},
)
_SAMPLER = record(
    {
        "name": choice("always_on", "always_off", "trace_id_ratio", "parent_base", default="always_off"),
        "options": record(
            {"fraction": _FRACTION, "root": _ROOT}, default={"fraction": 0, "root": {"name": "always_off"}}
        ),
    },
    default={"name": "always_off", "options": {"fraction": 0, "root": {"name": "always_off"}}},
)
SCHEMA = record(
    {
        "sampler": _SAMPLER,
        "additional_attributes": items(text(1)),
        "additional_header_prefix_attributes": items(text(1)),
    }
)
METADATA_SCHEMA = record(
    {
        "trace_id_source": choice("x-request-id", "random", default="random"),
        "resource": _ANY,
        "collector": record(
            {
                "address": text(default="127.0.0.1:4318"),
                "request_timeout": integer(default=3),
                "request_headers": _ANY,
            },
            default={"address": "127.0.0.1:4318", "request_timeout": 3},
        ),
        "batch_span_processor": record(
            {
                "drop_on_queue_full": flag(),
                "max_queue_size": integer(),
                "batch_timeout": number(),
                "inactive_timeout": number(),
                "max_export_batch_size": integer(),
            },
            default={},
        ),
        "set_ngx_var": flag(False),
    }
)
