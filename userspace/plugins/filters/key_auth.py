"""key-auth: the consumer is known by a key in a header or an argument."""

from urllib.parse import unquote_plus

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.identify import attach, attach_anonymous
from userspace.plugins.outcome import Outcome, Reply


class KeyAuth(Filter):
    NAME = "key-auth"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._header = conf["header"].lower().encode()
        self._query: str = conf["query"]
        self._challenge = (b"WWW-Authenticate", f'apikey realm="{conf["realm"]}"'.encode())

    def rewrite(self, request: Request) -> Outcome:
        key = request.header(self._header)
        text = key.decode("utf-8", "surrogateescape") if key is not None else request.arg(self._query)
        if text is None:
            return self._refuse(request, "Missing API key in request")
        known = self.env.consumers.find(self.NAME, text)
        if known is None:
            return self._refuse(request, "Invalid API key in request")
        if self.conf["hide_credentials"]:
            if key is not None:
                request.remove_header(self._header)
            else:
                request.set_query(without_argument(request.query, self._query))
        attach(request, known)
        return None

    def _refuse(self, request: Request, why: str) -> Outcome:
        refusal = Reply.json(401, {"message": why}, self._challenge)
        return attach_anonymous(request, self.env.consumers, self.conf.get("anonymous_consumer"), refusal)


def without_argument(query: bytes, name: str) -> bytes:
    """Return `query` without the arguments called `name`, however it is spelt, the others as they were."""
    return b"&".join(
        pair for pair in query.split(b"&") if unquote_plus(pair.partition(b"=")[0].decode("latin-1")) != name
    )
