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
        hides: bool = self.conf["hide_credentials"]
        key = request.header(self._header)
        argument = request.arg(self._query) if key is None or hides else None
        text = key.decode("utf-8", "surrogateescape") if key is not None else argument
        known = self.env.consumers.find(self.NAME, text) if text is not None else None
        if known is not None:
            attach(request, known)
        else:
            why = "Missing API key in request" if text is None else "Invalid API key in request"
            refusal = Reply.json(401, {"message": why}, self._challenge)
            outcome = attach_anonymous(request, self.env.consumers, self.conf.get("anonymous_consumer"), refusal)
            if outcome is not None:
                return outcome
        if hides:
            # All of them: also what did not count, or was no good and let the request pass as anonymous.
            if key is not None:
                request.remove_header(self._header)
            if argument is not None:
                request.set_query(without_argument(request.query, self._query))
        return None


def without_argument(query: bytes, name: str) -> bytes:
    """Return `query` without the arguments called `name`, however it is spelt, the others as they were."""
    return b"&".join(
        pair for pair in query.split(b"&") if unquote_plus(pair.partition(b"=")[0].decode("latin-1")) != name
    )
