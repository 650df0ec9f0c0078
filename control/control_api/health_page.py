"""The state of all checkers as a page for people."""

from collections.abc import Iterable
from html import escape
from typing import Any, Final

_HEADS: Final = (
    *("Index", "Upstream", "Check type", "Host", "Status"),
    *("Success counts", "TCP Failures", "HTTP Failures", "TIMEOUT Failures"),
)
_UP: Final = ("healthy", "mostly_healthy")
_PAGE: Final = """<html xmlns="http://www.w3.org/1999/xhtml">
<head>
  <title>APISIX upstream check status</title>
</head>
<body>
<h1>APISIX upstream check status</h1>
<table style="background-color:white" cellspacing="0" cellpadding="3" border="1">
  <tr bgcolor="#C0C0C0">
{heads}
  </tr>
{rows}</table>
</body>
</html>
"""


def page(infos: Iterable[dict[str, Any]]) -> str:
    """One row for each endpoint of the checkers; red for what is down."""
    pairs = [(info, node) for info in infos for node in info["nodes"]]
    rows = "".join(_row(number, info, node) for number, (info, node) in enumerate(pairs, 1))
    return _PAGE.format(heads="\n".join(f"    <th>{head}</th>" for head in _HEADS), rows=rows)


def _row(number: int, info: dict[str, Any], node: dict[str, Any]) -> str:
    counter = node["counter"]
    counts = (counter["success"], counter["tcp_failure"], counter["http_failure"], counter["timeout_failure"])
    cells = (number, info["name"], info["type"], f"{node['ip']}:{node['port']}", node["status"], *counts)
    color = "" if node["status"] in _UP else ' bgcolor="#FF0000"'
    return f"  <tr{color}>\n" + "".join(f"    <td>{escape(str(cell))}</td>\n" for cell in cells) + "  </tr>\n"
