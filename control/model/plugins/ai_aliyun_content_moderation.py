"""ai-aliyun-content-moderation: Alibaba Cloud judges prompts and answers."""

from control.model.parts.ai import MODERATION
from control.model.parts.fields import client
from control.model.terms import choice, integer, items, record, text

NAME = "ai-aliyun-content-moderation"
VERSION = 0.1
PRIORITY = 1029

SCHEMA = record(
    {
        "endpoint": text(1),
        "region_id": text(1),
        "access_key_id": text(1),
        "access_key_secret": text(1),
        "request_check_service": text(1, default="llm_query_moderation"),
        "response_check_service": text(1, default="llm_response_moderation"),
        "request_check_roles": items(choice("user", "tool", "system"), 1, unique=True, default=["user"]),
        "request_check_mode": choice("last", "all", default="last"),
        "request_check_length_limit": integer(1, default=2000),
        "response_check_length_limit": integer(1, default=5000),
        "risk_level_bar": choice("none", "low", "medium", "high", "max", default="high"),
        **client(integer(1, default=10000), 30),
        **MODERATION,
    },
    ["endpoint", "region_id", "access_key_id", "access_key_secret"],
    encrypt=["access_key_secret"],
)
