"""ldap-auth: who asks is known to a directory."""

from control.model.parts.fields import realm
from control.model.terms import flag, record, text

NAME = "ldap-auth"
VERSION = 0.1
PRIORITY = 2540
TYPE = "auth"

SCHEMA = record(
    {
        "base_dn": text(),
        "ldap_uri": text(),
        "use_tls": flag(False),
        "tls_verify": flag(False),
        "uid": text(default="cn"),
        "hide_credentials": flag(False),
        "realm": realm("ldap"),
    },
    ["base_dn", "ldap_uri"],
    title="work with route or service object",
)
CONSUMER_SCHEMA = record({"user_dn": text()}, ["user_dn"], title="work with consumer object")
