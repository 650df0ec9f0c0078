"""ip-restriction: which client addresses may pass."""

from userspace.http.footprint import PEER, Footprint
from userspace.http.request import Request
from userspace.net import Networks
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply


class IpRestriction(Filter):
    NAME = "ip-restriction"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._is_allowing = "whitelist" in conf
        self._listed = Networks(conf["whitelist" if self._is_allowing else "blacklist"], strict=False)
        self._refusal = Reply.json(conf["response_code"], {"message": conf["message"]})

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return Footprint(PEER)

    def access(self, request: Request) -> Outcome:
        return None if (request.remote_addr in self._listed) is self._is_allowing else self._refusal
