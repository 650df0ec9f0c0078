"""Parts of the plugin openid-connect."""

from control.model.terms import Schema, choice, flag, integer, needs, record, text

_REDIS = record(
    {
        "host": text(2, default="127.0.0.1"),
        "port": integer(1, default=6379),
        "username": text(1),
        "password": text(0),
        "database": integer(0, default=0),
        "prefix": text(default="sessions"),
        "ssl": flag(False),
        "ssl_verify": flag(True),
        "server_name": text(),
        "connect_timeout": integer(1, default=1000),
        "send_timeout": integer(1, default=1000),
        "read_timeout": integer(1, default=1000),
        "keepalive_timeout": integer(1000, default=10000),
    }
)
SESSION = record(
    {
        "secret": text(16),
        "cookie": record({"lifetime": integer()}),
        "storage": choice("cookie", "redis", default="cookie"),
        "redis": _REDIS,
        "cookie_name": text(),
        "cookie_path": text(),
        "cookie_domain": text(),
        "cookie_secure": flag(),
        "cookie_http_only": flag(),
        "cookie_same_site": choice("Strict", "Lax", "None", "Default"),
        "idling_timeout": integer(),
        "rolling_timeout": integer(),
        "absolute_timeout": integer(),
    },
    ["secret"],
    closed=True,
) | {"if": {"properties": {"storage": {"enum": ["redis"]}}}, "then": needs("redis")}
# How tokens are checked, renewed and signed; times in seconds.
TOKENS: Schema = {
    "renew_access_token_on_expiry": flag(True),
    "access_token_expires_in": integer(),
    "access_token_expires_leeway": integer(default=0),
    "refresh_session_interval": integer(),
    "iat_slack": integer(default=120),
    "accept_none_alg": flag(False),
    "accept_unsupported_alg": flag(True),
    "force_reauthorize": flag(False),
    "revoke_tokens_on_logout": flag(False),
    "cache_segment": text(),
    "introspection_interval": integer(default=0),
    "introspection_expiry_claim": text(),
    "jwk_expires_in": integer(default=86400),
    "jwt_verification_cache_ignore": flag(False),
    "client_rsa_private_key": text(),
    "client_rsa_private_key_id": text(),
    "client_jwt_assertion_alg": choice("HS256", "HS512", "RS256", "RS512", "ES256", "ES512"),
    "client_jwt_assertion_audience": text(),
    "client_jwt_assertion_expires_in": integer(default=60),
}
# Pushed authorization requests, RFC 9126.
PAR = record(
    {
        "enabled": flag(False),
        "endpoint": text(),
        "endpoint_auth_method": choice(
            "client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"
        ),
    },
    closed=True,
)
# Proof of possession, RFC 9449. The public key must not hold a private one.
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
DPOP = record(
    {
        "enabled": flag(False),
        "signing_alg": choice("ES256", "RS256", "PS256", default="ES256"),
        "private_key": text(),
        "public_jwk": {"type": "object", "not": {"anyOf": [needs(name) for name in _PRIVATE]}},
    },
    closed=True,
) | {"if": {"properties": {"enabled": {"const": True}}}, "then": needs("private_key", "public_jwk")}
