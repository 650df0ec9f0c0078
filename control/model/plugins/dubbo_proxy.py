"""dubbo-proxy: HTTP in front of Dubbo."""

from control.model.terms import record, text

NAME = "dubbo-proxy"
VERSION = 0.1
PRIORITY = 507
DEFAULT = False

SCHEMA = record(
    {"service_name": text(1), "service_version": text(pattern=r"^\d+\.\d+\.\d+"), "method": text(1)},
    ["service_name", "service_version"],
)
