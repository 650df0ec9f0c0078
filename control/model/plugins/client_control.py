"""client-control: limits of what a client may send."""

from control.model.terms import integer, record

NAME = "client-control"
VERSION = 0.1
PRIORITY = 22000

SCHEMA = record({"max_body_size": integer(0)})
