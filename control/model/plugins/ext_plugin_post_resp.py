"""ext-plugin-post-resp: plugins in another process, on the response."""

from control.model.parts.external import EXTERNAL

NAME = "ext-plugin-post-resp"
VERSION = 0.1
PRIORITY = -4000

SCHEMA = EXTERNAL
