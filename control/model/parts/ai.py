"""What the plugins that speak with language models share."""

from control.model.parts.fields import kept_alive, whole_body
from control.model.terms import Schema, choice, flag, integer, mapping, number, record, text

PROVIDER = choice(
    *("openai", "deepseek", "aimlapi", "anthropic", "openai-compatible", "azure-openai", "openrouter", "gemini"),
    *("vertex-ai", "bedrock"),
)
PROVIDER_CONF = record({"project_id": text(), "region": text(1)})
KEYS = mapping(text(), "^[a-zA-Z0-9._-]+$")
AUTH: Schema = {
    "type": "object",
    "patternProperties": {
        "header": KEYS,
        "query": KEYS,
        "gcp": record(
            {"service_account_json": text(), "max_ttl": integer(1), "expire_early_secs": integer(0, default=60)}
        ),
        "aws": record(
            {"access_key_id": text(1), "secret_access_key": text(1), "session_token": text(1)},
            ["access_key_id", "secret_access_key"],
        ),
    },
    "additionalProperties": False,
}
AUTH_SECRETS = ("header", "query", "gcp.service_account_json", "aws.secret_access_key", "aws.session_token")

_OPEN: Schema = {"type": "object", "additionalProperties": True}
OPTIONS = record({"model": text()}, additionalProperties=True)
_PROTOCOLS = (
    *("anthropic-messages", "bedrock-converse", "openai-chat", "openai-embeddings", "openai-responses"),
    "passthrough",
)
OVERRIDE = record(
    {
        "endpoint": text(1),
        "llm_options": record({"max_tokens": integer(1)}, closed=True),
        "request_body": record(dict.fromkeys(_PROTOCOLS, _OPEN), closed=True),
        "request_body_force_override": flag(False),
    }
)
# How a model is called; times in ms.
CALLS: Schema = {
    "logging": record({"summaries": flag(False), "payloads": flag(False)}),
    "timeout": integer(1, 600000, default=30000),
    **kept_alive(30),
    "ssl_verify": flag(True),
    "max_req_body_size": whole_body(),
    "max_response_bytes": integer(1),
    "max_stream_duration_ms": integer(1),
    "streaming_flush_interval_ms": integer(0, default=10),
}
MESSAGE: Schema = {
    "properties": {"role": choice("system", "user", "assistant"), "content": text(1)},
    "required": ["role", "content"],
}
FAIL_MODE = choice("skip", "warn", "error", default="skip")
MODERATION: Schema = {
    "check_request": flag(True),
    "check_response": flag(False),
    "deny_code": integer(200, 599, default=200),
    "deny_message": text(),
    "fail_mode": FAIL_MODE,
    "stream_check_mode": choice("realtime", "final_packet", default="final_packet"),
    "stream_check_cache_size": integer(1, default=128),
    "stream_check_interval": number(0.1, default=3),
}
