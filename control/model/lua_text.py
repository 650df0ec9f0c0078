"""Values as Lua names and writes them: APISIX's error texts quote them so."""


def quote(text: str) -> str:
    """`text` as Lua's %q writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n")
    return '"' + escaped.replace("\r", "\\r").replace("\0", "\\0") + '"'


def type_of(value: object) -> str:
    """The name of a JSON value's type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "userdata" if value is None else "table"


def number(value: float) -> str:
    """A number as `tostring` writes it."""
    return f"{value:.14g}" if isinstance(value, float) else str(value)
