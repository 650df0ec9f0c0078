"""ai-prompt-decorator: text before and after a prompt."""

from control.model.parts.ai import MESSAGE
from control.model.parts.fields import whole_body
from control.model.terms import items, needs, record

NAME = "ai-prompt-decorator"
VERSION = 0.1
PRIORITY = 1070

SCHEMA = record(
    {"prepend": items(MESSAGE), "append": items(MESSAGE), "max_req_body_size": whole_body()},
    anyOf=[needs("prepend"), needs("append"), needs("append", "prepend")],
)
