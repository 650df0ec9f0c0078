"""ai-proxy: one language model behind a route."""

from control.model.parts.ai import AUTH, AUTH_SECRETS, CALLS, OPTIONS, OVERRIDE, PROVIDER, PROVIDER_CONF
from control.model.terms import record

NAME = "ai-proxy"
VERSION = 0.5
PRIORITY = 1040

SCHEMA = record(
    {
        "provider": PROVIDER,
        "provider_conf": PROVIDER_CONF,
        "auth": AUTH,
        "options": OPTIONS,
        "override": OVERRIDE,
        **CALLS,
    },
    ["provider", "auth"],
    encrypt=[f"auth.{name}" for name in AUTH_SECRETS],
)
