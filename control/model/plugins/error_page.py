"""error-page: pages for our own errors."""

from control.model.terms import Schema, flag, record, text

NAME = "error-page"
VERSION = 0.1
PRIORITY = 450
DEFAULT = False

_TITLES = {404: "Not Found", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


def _page(title: str) -> Schema:
    body = (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n"
        f"<center><h1>{title}</h1></center>\n<hr><center>Apache APISIX</center>\n</body>\n</html>"
    )
    return record({"body": text(default=body), "content_type": text(default="text/html")})


SCHEMA: Schema = {}
METADATA_SCHEMA = record(
    {
        "enable": flag(False),
        **{f"error_{status}": _page(f"{status} {title}") for status, title in _TITLES.items()},
    }
)
