"""mcp-bridge: a command as an MCP server."""

from control.model.terms import items, record, text

NAME = "mcp-bridge"
VERSION = 0.1
PRIORITY = 510

SCHEMA = record({"base_uri": text(1, default=""), "command": text(1), "args": items(text(), 0)}, ["command"])
