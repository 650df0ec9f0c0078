"""ext-plugin-pre-req: plugins in another process, before ours."""

from control.model.parts.external import EXTERNAL

NAME = "ext-plugin-pre-req"
VERSION = 0.1
PRIORITY = 12000

SCHEMA = EXTERNAL
