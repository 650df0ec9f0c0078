"""ai-prompt-template: prompts with gaps to fill."""

from control.model.parts.ai import MESSAGE
from control.model.parts.fields import whole_body
from control.model.terms import items, record, text

NAME = "ai-prompt-template"
VERSION = 0.1
PRIORITY = 1071

SCHEMA = record(
    {
        "templates": items(
            record(
                {
                    "name": text(1),
                    "template": record({"model": text(1), "messages": items(MESSAGE, 1)}),
                },
                ["name", "template"],
            ),
            1,
        ),
        "max_req_body_size": whole_body(),
    },
    ["templates"],
)
