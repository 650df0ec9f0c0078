"""ai-prompt-guard: which prompts may pass."""

from control.model.parts.ai import FAIL_MODE
from control.model.parts.checks import Conf, first_regex_problem
from control.model.parts.fields import whole_body
from control.model.terms import flag, items, record, text

NAME = "ai-prompt-guard"
VERSION = 0.1
PRIORITY = 1072

SCHEMA = record(
    {
        "match_all_roles": flag(False),
        "match_all_conversation_history": flag(False),
        "allow_patterns": items(text(), default=[]),
        "deny_patterns": items(text(), default=[]),
        "fail_mode": FAIL_MODE,
        "max_req_body_size": whole_body(),
    }
)


def check(conf: Conf) -> str | None:
    return first_regex_problem([*conf.get("allow_patterns", ()), *conf.get("deny_patterns", ())])
