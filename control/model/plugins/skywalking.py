"""skywalking: spans to SkyWalking."""

from control.model.parts.fields import SAMPLE_RATIO
from control.model.terms import record

NAME = "skywalking"
VERSION = 0.1
PRIORITY = 12010
RUN_POLICY = "prefer_route"
DEFAULT = False

SCHEMA = record({"sample_ratio": {**SAMPLE_RATIO, "default": 1}})
