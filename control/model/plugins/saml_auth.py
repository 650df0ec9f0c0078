"""saml-auth: log in with SAML."""

from control.model.terms import choice, items, record, text

NAME = "saml-auth"
VERSION = 0.1
PRIORITY = 2598

SCHEMA = record(
    {
        "sp_issuer": text(),
        "idp_uri": text(),
        "idp_cert": text(),
        "login_callback_uri": text(),
        "logout_uri": text(),
        "logout_callback_uri": text(),
        "logout_redirect_uri": text(),
        "sp_cert": text(),
        "sp_private_key": text(),
        "auth_protocol_binding_method": choice("HTTP-Redirect", "HTTP-POST", default="HTTP-Redirect"),
        "secret": text(8, 32),
        "secret_fallbacks": items(text(8, 32)),
    },
    [
        *("sp_issuer", "idp_uri", "idp_cert", "login_callback_uri", "logout_uri", "logout_callback_uri"),
        *("logout_redirect_uri", "sp_cert", "sp_private_key", "secret"),
    ],
    encrypt=["sp_private_key", "secret", "secret_fallbacks"],
)
