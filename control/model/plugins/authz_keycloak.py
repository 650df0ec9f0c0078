"""authz-keycloak: Keycloak decides."""

from control.model.parts.fields import client, whole_body
from control.model.terms import among, any_of, choice, flag, integer, items, needs, record, text

NAME = "authz-keycloak"
VERSION = 0.1
PRIORITY = 2000

_GRANT = "urn:ietf:params:oauth:grant-type:uma-ticket"
_ADDRESS = text(1, 4096)

SCHEMA = record(
    {
        "discovery": _ADDRESS,
        "token_endpoint": _ADDRESS,
        "resource_registration_endpoint": _ADDRESS,
        "client_id": text(1, 100),
        "client_secret": text(1, 100),
        "grant_type": {**text(1, 100, default=_GRANT), "enum": [_GRANT]},
        "policy_enforcement_mode": choice("ENFORCING", "PERMISSIVE", default="ENFORCING"),
        "permissions": items(text(1, 100), unique=True, default=[]),
        "lazy_load_paths": flag(False),
        "http_method_as_scope": flag(False),
        "access_token_expires_in": integer(1, default=300),
        "access_token_expires_leeway": integer(0, default=0),
        "refresh_token_expires_in": integer(1, default=3600),
        "refresh_token_expires_leeway": integer(0, default=0),
        "cache_ttl_seconds": integer(1, default=86400),
        "access_denied_redirect_uri": text(1, 2048),
        "password_grant_token_generation_incoming_uri": _ADDRESS,
        "max_req_body_size": whole_body(),
        **client(integer(1000, default=3000)),
    },
    ["client_id"],
    encrypt=["client_secret"],
    allOf=[
        any_of(needs("discovery"), needs("token_endpoint")),
        any_of(
            {"properties": {"lazy_load_paths": among(False)}},
            {
                "properties": {"lazy_load_paths": among(True)},
                **any_of(needs("discovery"), needs("resource_registration_endpoint")),
            },
        ),
    ],
)
