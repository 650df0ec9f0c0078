"""ocsp-stapling: certificates with their OCSP answer."""

from control.model.terms import record

NAME = "ocsp-stapling"
VERSION = 0.1
PRIORITY = -44
DEFAULT = False

SCHEMA = record({})
