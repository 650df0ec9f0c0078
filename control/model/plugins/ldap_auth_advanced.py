"""ldap-auth-advanced: who asks is known to a directory, found by a search."""

from control.model.parts.checks import Conf
from control.model.parts.fields import realm
from control.model.terms import choice, flag, integer, record, text

NAME = "ldap-auth-advanced"
VERSION = 0.1
PRIORITY = 2541
TYPE = "auth"

_ATTRIBUTE = r"^(?:[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+)(?:;[A-Za-z0-9-]+)*$"

SCHEMA = record(
    {
        "ldap_uri": text(1, 256),
        "base_dn": text(1, 4096),
        "bind_dn": text(1, 4096),
        "ldap_password": text(1, 4096),
        "attribute": text(at_most=256, pattern=_ATTRIBUTE, default="cn"),
        "use_ldaps": flag(False),
        "use_starttls": flag(False),
        "ssl_verify": flag(True),
        "timeout": integer(1, 60000, default=10000),
        "keepalive": flag(True),
        "keepalive_timeout": integer(1000, default=60000),
        "keepalive_pool_size": integer(1, default=5),
        "keepalive_pool_name": text(1, 256),
        "size_limit": integer(2, default=2),
        "time_limit": integer(0, default=5),
        "header_type": choice("ldap", "basic", default="ldap"),
        "consumer_required": flag(True),
        "realm": realm("ldap"),
    },
    ["ldap_uri", "base_dn"],
    encrypt=["ldap_password"],
    title="work with route or service object",
)
CONSUMER_SCHEMA = record({"user_dn": text(1, 4096)}, ["user_dn"], title="work with consumer object")


def check(conf: Conf) -> str | None:
    if conf.get("use_ldaps") and conf.get("use_starttls"):
        return "use_ldaps and use_starttls are mutually exclusive"
    if "bind_dn" in conf and "ldap_password" not in conf:
        return "ldap_password is required when bind_dn is set"
    return None
