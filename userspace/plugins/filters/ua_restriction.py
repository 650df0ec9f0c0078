"""ua-restriction: which User-Agents may pass."""

from userspace.http.footprint import USER_AGENT, Footprint
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply
from userspace.routing.pattern import Pattern


class UaRestriction(Filter):
    NAME = "ua-restriction"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._is_allowing = "allowlist" in conf
        self._patterns = [Pattern(source) for source in conf["allowlist" if self._is_allowing else "denylist"]]
        self._refusal = Reply.json(403, {"message": conf["message"]})

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return Footprint(USER_AGENT)

    def access(self, request: Request) -> Outcome:
        agents = request.header_values(b"user-agent")
        if not agents:
            return None if self.conf["bypass_missing"] else self._refusal
        found = any(pattern.found(agent.strip()) for agent in agents for pattern in self._patterns)
        return None if found is self._is_allowing else self._refusal
