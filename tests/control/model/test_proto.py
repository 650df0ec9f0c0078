"""Protos: real sources pass. What is refused stands in tests/control/admin/test_bad_resources.py."""

import base64

import pytest

from control.model.errors import ModelError
from control.model.proto import check_proto

SOURCE = """
// A comment; with { braces
syntax = "proto3";
package a.b.c;
import public "google/protobuf/empty.proto";
option go_package = "x;y";
option (custom).name = { a: 1 b: "}" };
/* a block
   comment */
message Request {
  string name = 1 [deprecated = true, json_name = "n"];
  repeated .a.b.c.Other others = 2;
  map<string, Other> by_name = 3;
  oneof choice { int32 left = 4; bytes right = 5; }
  reserved 6 to 9, 11;
  reserved "old";
  message Nested { optional Kind kind = 1; };
  enum Kind { option allow_alias = true; NONE = 0; ALSO = 0; MINUS = -1; }
  extensions 100 to max;
}
message Empty {}
service Greeter {
  option deprecated = false;
  rpc Say (Request) returns (stream Empty) {}
  rpc Hear (stream Request) returns (Empty);
  rpc Get (Request) returns (Empty) { option (google.api.http) = { get: "/v1/{name}" }; }
}
"""


@pytest.mark.parametrize("content", [SOURCE, "message A { required string a = 0x10; }", ";", "// nothing"])
def test_a_source_passes(content: str) -> None:
    check_proto({"content": content})


def test_a_descriptor_in_base64_passes() -> None:
    check_proto({"content": base64.b64encode(b"\n\x02\n\x00").decode()})


def test_a_source_cut_off_inside_a_block_is_refused() -> None:
    message = SOURCE[SOURCE.index("message Request") : SOURCE.index("message Empty")].rstrip()
    for length in range(len("message"), len(message)):
        if not message[length - 1].isspace():
            with pytest.raises(ModelError, match="invalid content: "):
                check_proto({"content": message[:length]})
