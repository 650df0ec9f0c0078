"""authz-casbin: Casbin rules decide."""

from control.model.terms import needs, record, text

NAME = "authz-casbin"
VERSION = 0.1
PRIORITY = 2560

SCHEMA = record(
    {name: text() for name in ("model_path", "policy_path", "model", "policy", "username")},
    oneOf=[needs("model_path", "policy_path", "username"), needs("model", "policy", "username")],
)
METADATA_SCHEMA = record({"model": text(), "policy": text()}, ["model", "policy"])
