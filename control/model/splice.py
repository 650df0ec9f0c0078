"""Splice: whether connections may leave the proxy once they are decided on: unilb's own field of what they go by."""

from typing import Final

POLICIES: Final = ("auto", "off", "opaque")
"""auto: requests too, compared with the decision by the kernel; opaque: only what is tunnelled; off: nothing."""
SPLICE: Final = {"type": "string", "enum": list(POLICIES)}
