"""ext-plugin-post-req: plugins in another process, after ours."""

from control.model.parts.external import EXTERNAL

NAME = "ext-plugin-post-req"
VERSION = 0.1
PRIORITY = -3000

SCHEMA = EXTERNAL
