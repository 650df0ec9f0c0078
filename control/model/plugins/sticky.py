"""sticky: session persistence of unilb: see control/model/sticky.py."""

from control.model import sticky
from control.model.parts.checks import Conf

NAME = "sticky"
VERSION = 0.2
PRIORITY = 800
DEFAULT = False

SCHEMA = sticky.SCHEMA


def check(conf: Conf) -> str | None:
    return sticky.problem(conf)
