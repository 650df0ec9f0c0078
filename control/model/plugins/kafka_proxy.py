"""kafka-proxy: a WebSocket in front of Kafka."""

from control.model.terms import record, text

NAME = "kafka-proxy"
VERSION = 0.1
PRIORITY = 508

SCHEMA = record(
    {"sasl": record({"username": text(), "password": text()}, ["username", "password"])}, encrypt=["sasl.password"]
)
