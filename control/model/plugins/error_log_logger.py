"""error-log-logger: our own error log, elsewhere."""

from control.model.parts.fields import NAMED_HOST
from control.model.parts.logs import batches
from control.model.terms import Schema, among, choice, flag, integer, items, needs, record, text

NAME = "error-log-logger"
VERSION = 0.1
PRIORITY = 1091
SCOPE = "global"
DEFAULT = False

_LEVELS = ("STDERR", "EMERG", "ALERT", "CRIT", "ERR", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG")
_BROKER = record(
    {
        "host": text(),
        "port": integer(1, 65535),
        "sasl_config": record(
            {"mechanism": choice("PLAIN", default="PLAIN"), "user": text(), "password": text()}, ["user", "password"]
        ),
    },
    ["host", "port"],
)
_KAFKA = record(
    {
        "brokers": items(_BROKER, 1, unique=True),
        "kafka_topic": text(),
        "key": text(),
        "producer_type": choice("async", "sync", default="async"),
        "required_acks": {"type": "integer", **among(0, 1, -1, default=1)},
        "cluster_name": integer(1, default=1),
        "meta_refresh_interval": integer(1, default=30),
        "tls": record({"verify": flag(False)}),
    },
    ["brokers", "kafka_topic"],
)
_CLICKHOUSE = record(
    {
        "endpoint_addr": text(default="http://127.0.0.1:8123"),
        "user": text(default="default"),
        "password": text(default=""),
        "database": text(default=""),
        "logtable": text(default=""),
    },
    ["endpoint_addr", "user", "password", "database", "logtable"],
)

SCHEMA: Schema = {"type": "object"}
METADATA_SCHEMA = record(
    {
        "tcp": record(
            {"host": NAMED_HOST, "port": integer(0), "tls": flag(False), "tls_server_name": text()}, ["host", "port"]
        ),
        "skywalking": record(
            {
                "endpoint_addr": text(default="http://127.0.0.1:12900/v3/logs"),
                "service_name": text(default="APISIX"),
                "service_instance_name": text(default="APISIX Service Instance"),
            }
        ),
        "clickhouse": _CLICKHOUSE,
        "kafka": _KAFKA,
        "level": choice(*_LEVELS, default="WARN"),
        "timeout": integer(1, default=3),
        "keepalive": integer(1, default=30),
        **batches("error-log-logger"),
        "batch_max_size": integer(0, default=1000),
        "inactive_timeout": integer(1, default=3),
    },
    encrypt=["clickhouse.password", "kafka.brokers.sasl_config.password"],
    oneOf=[needs("skywalking"), needs("tcp"), needs("clickhouse"), needs("kafka"), needs("host", "port")],
)
