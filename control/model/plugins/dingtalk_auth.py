"""dingtalk-auth: log in with DingTalk."""

from control.model.terms import flag, integer, items, record, text

NAME = "dingtalk-auth"
VERSION = 0.1
PRIORITY = 2430

SCHEMA = record(
    {
        "app_key": text(1),
        "app_secret": text(1),
        "code_header": text(1, default="X-DingTalk-Code"),
        "code_query": text(1, default="code"),
        "access_token_url": text(1, default="https://api.dingtalk.com/v1.0/oauth2/accessToken"),
        "userinfo_url": text(1, default="https://oapi.dingtalk.com/topapi/v2/user/getuserinfo"),
        "set_userinfo_header": flag(True),
        "redirect_uri": text(1),
        "timeout": integer(1, default=6000),
        "ssl_verify": flag(True),
        "secret": text(8, 32),
        "secret_fallbacks": items(text(8, 32)),
        "cookie_expires_in": integer(1, default=86400),
    },
    ["app_key", "app_secret", "secret", "redirect_uri"],
    encrypt=["app_secret", "secret", "secret_fallbacks"],
)
