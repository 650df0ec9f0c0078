"""sticky: the session cookie of unilb: see control/model/sticky.py."""

from control.model import sticky
from control.model.parts.checks import Conf

NAME = "sticky"
VERSION = 0.1
PRIORITY = 800
DEFAULT = False

SCHEMA = sticky.SCHEMA


def check(conf: Conf) -> str | None:
    # A browser drops such a cookie: the session would silently not stick.
    if conf.get("same_site") == "None" and not conf.get("secure", False):
        return 'property "same_site" validation failed: None needs "secure": true'
    return None
