"""uri-blocker: what matches a rule is refused."""

from collections.abc import Sequence

from userspace.http.footprint import PATH, QUERY, Footprint
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.page import page
from userspace.routing.pattern import MAX_LENGTH, Pattern, PatternError


class UriBlocker(Filter):
    NAME = "uri-blocker"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._patterns = joined(conf["block_rules"], conf["case_insensitive"])
        message = conf.get("rejected_msg")
        status: int = conf["rejected_code"]
        self._refusal = page(status) if message is None else Reply.json(status, {"error_msg": message})

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return Footprint(PATH | QUERY)

    def rewrite(self, request: Request) -> Outcome:
        uri = request.var("request_uri") or ""
        return self._refusal if any(pattern.found(uri) for pattern in self._patterns) else None


def joined(rules: Sequence[str], ignore_case: bool) -> list[Pattern]:
    """Return patterns of which one is found where one of `rules` is: as few as can be, since each is a search.

    Raises PatternError for a rule that is not served.
    """
    whole = "|".join(rules)
    if rules and len(whole) <= MAX_LENGTH:
        try:
            return [Pattern(whole, ignore_case)]
        except PatternError:
            pass  # too much in one piece, or one that is not served: say which
    return [Pattern(rule, ignore_case) for rule in rules]
