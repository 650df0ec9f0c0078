"""aws-lambda: a function in AWS answers."""

from control.model.parts.fields import client, whole_body
from control.model.terms import integer, record, text

NAME = "aws-lambda"
VERSION = 0.1
PRIORITY = -1899

_IAM = record(
    {
        "accesskey": text(),
        "secretkey": text(),
        "aws_region": text(default="us-east-1"),
        "service": text(default="execute-api"),
    },
    ["accesskey", "secretkey"],
)
SCHEMA = record(
    {
        "authorization": record({"apikey": text(), "iam": _IAM}),
        "function_uri": text(),
        "max_req_body_size": whole_body(),
        **client(integer(100, default=3000)),
    },
    ["function_uri"],
    encrypt=["authorization.apikey", "authorization.iam.accesskey", "authorization.iam.secretkey"],
)
