"""referer-restriction: from the pages of which hosts requests may come."""

import re
from collections.abc import Iterable
from typing import Final

from userspace.http.footprint import Footprint, of_header
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply

# As lua-resty-http reads a URL, but a host has no user information and no fragment: either could pose as a suffix.
_URL: Final = re.compile(r"(?:https?:)?//([^\[\]:/?#@\\\s]+|\[[^\]@#?/]+\])(?::\d+)?(?:[/?#].*)?", re.DOTALL)


class RefererRestriction(Filter):
    NAME = "referer-restriction"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._is_allowing = "whitelist" in conf
        self._listed = Hosts(conf["whitelist" if self._is_allowing else "blacklist"])
        self._refusal = Reply.json(403, {"message": conf["message"]})

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return of_header("referer")

    def access(self, request: Request) -> Outcome:
        referer = request.var("http_referer")
        url = _URL.fullmatch(referer) if referer is not None else None
        if url is None:
            return None if self.conf["bypass_missing"] else self._refusal
        return None if (url[1] in self._listed) is self._is_allowing else self._refusal


class Hosts:
    """A set of host names; one that begins with `*` stands for all that end with the rest of it."""

    __slots__ = ("_names", "_suffixes")

    def __init__(self, hosts: Iterable[str]) -> None:
        listed = list(hosts)
        self._names = frozenset(host for host in listed if not host.startswith("*"))
        self._suffixes = tuple(host[1:] for host in listed if host.startswith("*"))

    def __contains__(self, host: str) -> bool:
        return host in self._names or host.endswith(self._suffixes)
