"""kafka-logger: log to Kafka."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import MEBIBYTE
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import among, choice, flag, integer, items, mapping, needs, record, text

NAME = "kafka-logger"
VERSION = 0.1
PRIORITY = 403

_BROKER = record(
    {
        "host": text(),
        "port": integer(1, 65535),
        "sasl_config": record(
            {
                "mechanism": choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", default="PLAIN"),
                "user": text(),
                "password": text(),
            },
            ["user", "password"],
        ),
    },
    ["host", "port"],
)
SCHEMA = record(
    {
        "meta_format": choice("default", "origin", default="default"),
        "broker_list": mapping(integer(1, 65535), at_least=1),
        "brokers": items(_BROKER, 1, unique=True),
        "kafka_topic": text(),
        "key": text(),
        "producer_type": choice("async", "sync", default="async"),
        "required_acks": {"type": "integer", **among(1, -1, default=1)},
        "timeout": integer(1, default=3),
        "cluster_name": integer(1, default=1),
        "meta_refresh_interval": integer(1, default=30),
        "api_version": {"type": "integer", **among(0, 1, 2, default=1)},
        "producer_batch_num": integer(1, default=200),
        "producer_batch_size": integer(0, default=MEBIBYTE),
        "producer_max_buffering": integer(1, default=50000),
        "producer_time_linger": integer(1, default=1),
        "tls": record({"verify": flag(False)}),
        **FORMATS,
        **BODIES,
        **batches("kafka logger"),
    },
    encrypt=["brokers.sasl_config.password"],
    oneOf=[needs("broker_list", "kafka_topic"), needs("brokers", "kafka_topic")],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
