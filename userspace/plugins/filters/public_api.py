"""public-api: under its route stands what a plugin offers under an address of its own: the metrics of this node."""

from typing import Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Answered, Asked, Outcome, Reply

METRICS: Final = "/apisix/prometheus/metrics"
_KIND: Final = (b"Content-Type", b"text/plain; charset=utf-8")
_NOTHING: Final = Reply(404, headers=())
_NOBODY: Final = Reply(503, headers=())


class PublicApi(Filter):
    NAME = "public-api"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._uri: str | None = conf.get("uri")

    def access(self, request: Request) -> Outcome:
        if (self._uri or request.path) != METRICS or request.method != "GET":
            return _NOTHING
        ask = self.env.metrics
        if ask is None:
            return _NOBODY

        def begin(answered: Answered) -> None:
            ask(lambda text: answered(Reply(200, text, (_KIND,)) if text is not None else _NOBODY))

        return Asked(begin)
