"""One entry of a logger on its way."""

from typing import Any

from tests.requests import request
from tests.userspace.plugins.outbox import Kept
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.jobs import Job
from userspace.plugins.summary import Summary

SUMMARY = Summary(200, 1000.0, 12.0, 10.0, 100, 200, "10.0.0.1:80", 200, None, False)


def jobs(plugin: str, conf: dict[str, Any], entries: int = 1, target: str = "/a", **env: Any) -> list[Job]:
    """What is delivered of so many requests whose log format is their path."""
    outbox = Kept()
    conf = {"log_format": {"u": "$uri"}, **conf}
    filter = build_chain({plugin: conf}, Env(outbox=outbox, now=lambda: 0.25, **env)).steps[0].filter
    for _ in range(entries):
        filter.log(request(target=target), SUMMARY)
    filter.close()
    return outbox.jobs
