"""feishu-auth: log in with Feishu."""

from control.model.terms import flag, integer, items, record, text

NAME = "feishu-auth"
VERSION = 0.1
PRIORITY = 2420

SCHEMA = record(
    {
        "app_id": text(1),
        "app_secret": text(1),
        "code_header": text(default="X-Feishu-Code"),
        "code_query": text(default="code"),
        "auth_redirect_uri": text(),
        "redirect_uri": text(),
        "access_token_url": text(default="https://open.feishu.cn/open-apis/authen/v2/oauth/token"),
        "userinfo_url": text(default="https://open.feishu.cn/open-apis/authen/v1/user_info"),
        "set_userinfo_header": flag(True),
        "timeout": integer(default=6000),
        "ssl_verify": flag(True),
        "secret": text(8, 32),
        "secret_fallbacks": items(text(8, 32)),
        "cookie_expires_in": integer(default=86400),
    },
    ["app_id", "app_secret", "secret", "auth_redirect_uri", "redirect_uri"],
    encrypt=["app_secret", "secret", "secret_fallbacks"],
)
