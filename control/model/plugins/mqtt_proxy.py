"""mqtt-proxy: MQTT over TCP."""

from control.model.terms import integer, record, text

NAME = "mqtt-proxy"
VERSION = 0.1
PRIORITY = 1000

STREAM_SCHEMA = record({"protocol_name": text(default="MQTT"), "protocol_level": integer()}, ["protocol_level"])
