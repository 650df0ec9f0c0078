"""ai-aws-content-moderation: AWS judges prompts and answers."""

from control.model.parts.ai import MODERATION
from control.model.terms import choice, flag, integer, items, mapping, number, record, text

NAME = "ai-aws-content-moderation"
VERSION = 0.1
PRIORITY = 1031

_ROLES = ("user", "tool", "system", "assistant")
_CATEGORIES = "^(PROFANITY|HATE_SPEECH|INSULT|HARASSMENT_OR_ABUSE|SEXUAL|VIOLENCE_OR_THREAT)$"

SCHEMA = record(
    {
        "comprehend": record(
            {
                "access_key_id": text(),
                "secret_access_key": text(),
                "region": text(),
                "endpoint": text(pattern="^https?://"),
                "ssl_verify": flag(True),
            },
            ["access_key_id", "secret_access_key", "region"],
        ),
        "moderation_categories": mapping(number(0, 1), _CATEGORIES, additionalProperties=False),
        "moderation_threshold": number(0, 1, default=0.5),
        "request_check_roles": items(choice(*_ROLES), 1, unique=True, default=list(_ROLES)),
        "request_check_mode": choice("last", "all", default="all"),
        "request_check_length_limit": integer(4, 1024, default=1000),
        "response_check_length_limit": integer(4, 1024, default=1000),
        "keepalive": flag(True),
        "keepalive_timeout": integer(1000, default=60000),
        "timeout": integer(1, default=10000),
        **MODERATION,
    },
    ["comprehend"],
    encrypt=["comprehend.secret_access_key"],
)
