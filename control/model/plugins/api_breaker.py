"""api-breaker: stop asking an upstream that fails."""

from control.model.terms import integer, items, record, text

NAME = "api-breaker"
VERSION = 0.1
PRIORITY = 1005

SCHEMA = record(
    {
        "break_response_code": integer(200, 599),
        "break_response_body": text(),
        "break_response_headers": items(record({"key": text(1), "value": text(1)}, ["key", "value"])),
        "max_breaker_sec": integer(3, default=300),
        "unhealthy": record(
            {
                "http_statuses": items(integer(500, 599), 1, unique=True, default=[500]),
                "failures": integer(1, default=3),
            },
            default={"http_statuses": [500], "failures": 3},
        ),
        "healthy": record(
            {
                "http_statuses": items(integer(200, 499), 1, unique=True, default=[200]),
                "successes": integer(1, default=3),
            },
            default={"http_statuses": [200], "successes": 3},
        ),
    },
    ["break_response_code"],
)
