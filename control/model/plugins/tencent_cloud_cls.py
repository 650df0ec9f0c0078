"""tencent-cloud-cls: log to Tencent Cloud."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import SAMPLE_RATIO
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import choice, flag, record, text

NAME = "tencent-cloud-cls"
VERSION = 0.1
PRIORITY = 397

SCHEMA = record(
    {
        "cls_host": text(),
        "cls_topic": text(),
        "scheme": choice("http", "https", default="https"),
        "secret_id": text(),
        "secret_key": text(),
        "sample_ratio": {**SAMPLE_RATIO, "default": 1},
        "global_tag": {"type": "object"},
        "ssl_verify": flag(True),
        **FORMATS,
        **BODIES,
        **batches("tencent-cloud-cls"),
    },
    ["cls_host", "cls_topic", "secret_id", "secret_key"],
    encrypt=["secret_key"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
