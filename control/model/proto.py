"""Proto: the description of a gRPC service, as .proto source or as a descriptor set in base64."""

import base64
import binascii
import re
from collections.abc import Sequence

from control.model.errors import ModelError
from control.model.fields import COMMON
from control.model.schema import check_configuration, on_demand

SCHEMA = {
    "type": "object",
    "properties": {**COMMON, "content": {"type": "string", "minLength": 1, "maxLength": 1048576}},
    "required": ["content"],
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)
_SKIP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_TOKEN = re.compile(
    r"""[A-Za-z_][A-Za-z0-9_.]* | \.[A-Za-z_][A-Za-z0-9_.]* | -?[0-9][0-9A-Za-z_.+-]*
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [{}()\[\]<>;,=:/.-]""",
    re.VERBOSE,
)
_CLOSES = {"}": "{", ")": "(", "]": "[", ">": "<"}
_STATEMENTS = {"syntax", "edition", "package", "import", "option", "message", "enum", "service", "extend", ";"}
_NO_FIELDS = {"option", "reserved", "extensions", "rpc", "message", "enum", "extend", "oneof", "group"}
MAX_FIELD_NUMBER = 2**29 - 1
MAX_DEPTH = 100


def check_proto(doc: object) -> None:
    """Raise ModelError unless `doc` is one whose source reads: its words, blocks, and the numbers of its fields."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    content: str = doc["content"]
    if _is_descriptor(content):
        return
    try:
        tokens = _tokens(content)
        _check_nesting(tokens)
        at = 0
        while at < len(tokens):
            at = _statement(tokens, at)
    except ValueError as problem:
        raise ModelError(f"invalid content: {problem}") from None


def _is_descriptor(content: str) -> bool:
    """A FileDescriptorSet: its only field is number 1, so that its first byte is 0x0a."""
    try:
        return base64.b64decode(content, validate=True)[:1] == b"\n"
    except (binascii.Error, ValueError):
        return False


def _tokens(source: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(source):
        skipped = _SKIP.match(source, at)
        if skipped is not None:
            at = skipped.end()
            continue
        match = _TOKEN.match(source, at)
        if match is None:
            raise ValueError(f"line {source.count(chr(10), 0, at) + 1}: unexpected {source[at : at + 10]!r}")
        tokens.append(match.group())
        at = match.end()
    return tokens


def _check_nesting(tokens: Sequence[str]) -> None:
    opened: list[str] = []
    for token in tokens:
        if token in _CLOSES.values():
            opened.append(token)
        elif token in _CLOSES and (not opened or opened.pop() != _CLOSES[token]):
            raise ValueError(f"unexpected '{token}'")
        if len(opened) > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if opened:
        raise ValueError(f"'{opened[-1]}' is not closed")


def _statement(tokens: Sequence[str], at: int) -> int:
    """Check one statement of a file; the index of the next."""
    word = tokens[at]
    if word not in _STATEMENTS:
        raise ValueError(f"unexpected '{word[:40]}'")
    if word == "syntax" and [token.strip("\"'") for token in tokens[at + 1 : at + 3]] not in (
        ["=", "proto2"],
        ["=", "proto3"],
    ):
        raise ValueError("syntax is neither proto2 nor proto3")
    if word in ("message", "enum", "service", "extend"):
        return _block(tokens, at)
    return _end_of_line(tokens, at)


def _block(tokens: Sequence[str], at: int) -> int:
    """Check `message Name { ... }` and its like, with what is nested in it; the index behind it."""
    kind, name = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
    if not re.fullmatch(r"\.?[A-Za-z_][A-Za-z0-9_.]*", name) or tokens[at + 2 : at + 3] != ["{"]:
        raise ValueError(f"{kind} needs a name and a block")
    numbers: dict[int, str] = {}
    at = _members(tokens, at + 3, f"{kind} {name}", numbers, kind)
    return at


def _members(tokens: Sequence[str], at: int, place: str, numbers: dict[int, str], kind: str) -> int:
    while tokens[at] != "}":
        word = tokens[at]
        if word == "oneof" and kind == "message":
            # Its fields count among those of the message.
            if tokens[at + 2 : at + 3] != ["{"]:
                raise ValueError(f"{place}: oneof needs a name and a block")
            at = _members(tokens, at + 3, place, numbers, kind)
        elif word in ("message", "enum", "extend") and tokens[at + 2 : at + 3] == ["{"]:
            at = _block(tokens, at)
        else:
            end = _end_of_line(tokens, at)
            if kind == "message" and word not in _NO_FIELDS and word != ";":
                _field(tokens[at:end], place, numbers)
            elif kind == "service" and word not in ("rpc", "option", ";"):
                raise ValueError(f"{place}: unexpected '{word[:40]}'")
            at = end
    return at + 1


def _field(line: Sequence[str], place: str, numbers: dict[int, str]) -> None:
    """Check `[label] type name = number [options];`."""
    if "=" not in line or line.index("=") < 2 or line[-1] != ";":
        raise ValueError(f"{place}: '{' '.join(line[:6])[:60]}' is no field")
    equals = line.index("=")
    name, text = line[equals - 1], line[equals + 1]
    if not re.fullmatch(r"[0-9]+|0x[0-9a-fA-F]+", text) or not 1 <= int(text[:12], 0) <= MAX_FIELD_NUMBER:
        raise ValueError(f"{place}: field {name}: '{text[:40]}' is no field number")
    number = int(text, 0)
    if number in numbers:
        raise ValueError(f"{place}: field {name}: number {number} is already that of {numbers[number]}")
    if name in numbers.values():
        raise ValueError(f"{place}: field {name} is there twice")
    numbers[number] = name


def _end_of_line(tokens: Sequence[str], at: int) -> int:
    """The index behind the `;`, or behind the block that stands instead of it."""
    depth = 0
    for index in range(at, len(tokens)):
        token = tokens[index]
        if token in "{([":
            depth += 1
        elif token in "})]":
            depth -= 1
            if depth < 0:
                break
            if depth == 0 and token == "}" and tokens[index + 1 : index + 2] != [";"]:
                return index + 1
        elif token == ";" and depth == 0:
            return index + 1
    raise ValueError(f"';' expected after '{tokens[at][:40]}'")
