"""azure-functions: a function in Azure answers."""

from control.model.parts.fields import client, whole_body
from control.model.terms import integer, record, text

NAME = "azure-functions"
VERSION = 0.1
PRIORITY = -1900

SCHEMA = record(
    {
        "authorization": record({"apikey": text(), "clientid": text()}),
        "function_uri": text(),
        "max_req_body_size": whole_body(),
        **client(integer(100, default=3000)),
    },
    ["function_uri"],
    encrypt=["authorization.apikey"],
)
METADATA_SCHEMA = record(
    {"master_apikey": text(default=""), "master_clientid": text(default="")}, encrypt=["master_apikey"]
)
