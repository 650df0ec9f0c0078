"""google-cloud-logging: log to Google Cloud."""

from control.model.parts.logs import FORMATS, LOG_METADATA, batches
from control.model.terms import flag, items, needs, record, text

NAME = "google-cloud-logging"
VERSION = 0.1
PRIORITY = 407

_AUTH = "https://www.googleapis.com/auth/"
_SCOPES = [f"{_AUTH}logging.read", f"{_AUTH}logging.write", f"{_AUTH}logging.admin", f"{_AUTH}cloud-platform"]

SCHEMA = record(
    {
        "auth_config": record(
            {
                "client_email": text(),
                "private_key": text(),
                "project_id": text(),
                "token_uri": text(default="https://oauth2.googleapis.com/token"),
                "scope": items(text(), 1, unique=True, default=_SCOPES),
                "scopes": items(text(), 1, unique=True),
                "entries_uri": text(default="https://logging.googleapis.com/v2/entries:write"),
            },
            ["client_email", "private_key", "project_id", "token_uri"],
        ),
        "auth_file": text(),
        "ssl_verify": flag(True),
        "resource": record({"type": text(), "labels": {"type": "object"}}, ["type"], default={"type": "global"}),
        "log_id": text(default="apisix.apache.org%2Flogs"),
        **FORMATS,
        **batches("google-cloud-logging"),
    },
    encrypt=["auth_config.private_key"],
    oneOf=[needs("auth_config"), needs("auth_file")],
)
METADATA_SCHEMA = LOG_METADATA
