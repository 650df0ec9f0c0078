"""openid-connect: log in with OpenID Connect."""

from control.model.parts.checks import Conf, schema_problem
from control.model.parts.fields import HEADER_NAME
from control.model.parts.openid import DPOP, PAR, SESSION, TOKENS
from control.model.terms import choice, flag, integer, items, record, text

NAME = "openid-connect"
VERSION = 0.2
PRIORITY = 2599

SCHEMA = record(
    {
        "client_id": text(),
        "client_secret": text(),
        "discovery": text(),
        "scope": text(default="openid"),
        "ssl_verify": flag(True),
        "timeout": integer(1, default=3),
        "introspection_endpoint": text(),
        "introspection_endpoint_auth_method": text(default="client_secret_basic"),
        "token_endpoint_auth_method": text(default="client_secret_basic"),
        "bearer_only": flag(False),
        "session": SESSION,
        "realm": text(default="apisix"),
        "claim_validator": record(
            {
                "issuer": record({"valid_issuers": items(text())}),
                "audience": record(
                    {"claim": text(default="aud"), "required": flag(False), "match_with_client_id": flag(False)}
                ),
            }
        ),
        "logout_path": text(default="/logout"),
        "redirect_uri": text(),
        "post_logout_redirect_uri": text(),
        "unauth_action": choice("auth", "deny", "pass", default="auth"),
        "public_key": text(),
        "token_signing_alg_values_expected": text(),
        "use_jwks": flag(False),
        "use_pkce": flag(False),
        "use_nonce": flag(False),
        **TOKENS,
        "set_access_token_header": flag(True),
        "access_token_in_authorization_header": flag(False),
        "set_id_token_header": flag(True),
        "set_raw_id_token_header": flag(False),
        "set_userinfo_header": flag(True),
        "set_refresh_token_header": flag(False),
        "proxy_opts": record(
            {
                "http_proxy": text(),
                "https_proxy": text(),
                "http_proxy_authorization": text(),
                "https_proxy_authorization": text(),
                "no_proxy": text(),
            }
        ),
        "authorization_params": {"type": "object"},
        "introspection_addon_headers": items(text(pattern=HEADER_NAME), 1),
        "required_scopes": items(text()),
        "claim_schema": {"type": "object"},
        "par": PAR,
        "dpop": DPOP,
    },
    ["client_id", "discovery"],
    encrypt=[
        "client_secret",
        "client_rsa_private_key",
        "dpop.private_key",
        "session.secret",
        "session.redis.password",
    ],
)


def check(conf: Conf) -> str | None:
    if not conf.get("bearer_only") and "session" not in conf:
        return 'property "session.secret" is required when "bearer_only" is false'
    if "claim_schema" in conf:
        error = schema_problem(conf["claim_schema"])
        if error is not None:
            return f"check claim_schema failed: {error}"
    return None
