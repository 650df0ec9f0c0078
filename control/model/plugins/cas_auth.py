"""cas-auth: log in with CAS."""

from control.model.parts.fields import whole_body
from control.model.terms import choice, flag, record, text

NAME = "cas-auth"
VERSION = 0.1
PRIORITY = 2597

SCHEMA = record(
    {
        "idp_uri": text(),
        "cas_callback_uri": text(),
        "logout_uri": text(),
        "cookie": record(
            {"secret": text(32), "secure": flag(True), "samesite": choice("Lax", "None", default="Lax")}, ["secret"]
        ),
        "max_req_body_size": whole_body(),
    },
    ["idp_uri", "cas_callback_uri", "logout_uri", "cookie"],
    encrypt=["cookie.secret"],
)
