"""batch-requests: several requests in one."""

from control.model.terms import Schema, integer, record

NAME = "batch-requests"
VERSION = 0.1
PRIORITY = 4010
SCOPE = "global"
DEFAULT = False

SCHEMA: Schema = {"type": "object"}
METADATA_SCHEMA = record(
    {"max_body_size": integer(above=0, default=1048576), "max_pipeline_items": integer(above=0, default=1000)}
)
