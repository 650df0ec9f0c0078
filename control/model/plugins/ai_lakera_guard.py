"""ai-lakera-guard: Lakera judges prompts and answers."""

from control.model.parts.ai import FAIL_MODE
from control.model.terms import choice, flag, integer, record, text

NAME = "ai-lakera-guard"
VERSION = 0.1
PRIORITY = 1028

SCHEMA = record(
    {
        "api_key": text(1),
        "lakera_endpoint": text(pattern="^https?://", default="https://api.lakera.ai/v2/guard"),
        "project_id": text(),
        "direction": choice("input", "output", "both", default="input"),
        "action": choice("block", "alert", default="block"),
        "fail_open": flag(False),
        "fail_mode": FAIL_MODE,
        "deny_code": integer(200, 599, default=200),
        "request_failure_message": text(default="Request blocked by Lakera Guard"),
        "response_failure_message": text(default="Response blocked by Lakera Guard"),
        "reveal_failure_categories": flag(False),
        "timeout": integer(1, default=5000),
        "ssl_verify": flag(True),
    },
    ["api_key"],
    encrypt=["api_key"],
)
