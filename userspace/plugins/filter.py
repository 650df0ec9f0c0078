"""Filter: one plugin's configuration, ready to run."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from userspace.http.footprint import Footprint
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.outcome import Outcome
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary

EVERY_REQUEST: Final = None
"""The footprint of a plugin whose effect a splice cannot keep: it counts, times, changes or logs each request."""

Conf = Mapping[str, Any]


class Filter:
    """Made off the request path from a checked configuration with its defaults filled in; shared by all requests.

    A subclass has the phases that it overrides, and no others run. `rewrite` and `access` may answer or wait;
    `before_proxy` runs once, when the first endpoint is picked. Header filters see every answer, ours too. `log` is
    told of every exchange, once. Nothing of this may block. What a request leaves for a later phase stands in
    `request.state[NAME]`.

    `footprint(conf)`: on which attributes of a request it depends that the plugin lets it pass as it is, so that a
    spliced connection asks again when one of them changes; EVERY_REQUEST when it has to see them all, or changes any.
    """

    NAME: ClassVar[str]
    keeps_body: int = 0
    """So many bytes of the request's body, from its beginning, are there in the log phase."""

    def __init__(self, conf: Conf, env: Env) -> None:
        self.conf = conf
        self.env = env

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return EVERY_REQUEST

    @classmethod
    def unserved(cls, conf: Conf) -> str | None:
        """Why gateways can not do what a configuration, as stored, asks for; None: they can."""
        return None

    def rewrite(self, request: Request) -> Outcome:
        raise NotImplementedError

    def access(self, request: Request) -> Outcome:
        raise NotImplementedError

    def before_proxy(self, request: Request) -> None:
        raise NotImplementedError

    def header_filter(self, request: Request, response: Response) -> None:
        raise NotImplementedError

    def log(self, request: Request, summary: Summary) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """The configuration is out of force: give back what was leased from `env`."""
