"""What plugins name."""

from typing import Any

import pytest

from control.admin.plugin_references import MAX_REFERENCES, mention, references_of


def split(*ids: Any) -> dict[str, Any]:
    return {"traffic-split": {"rules": [{"weighted_upstreams": [{"upstream_id": id}]} for id in ids]}}


def test_upstreams_and_protos_are_found() -> None:
    doc = {"plugins": {**split("a", 7), "grpc-transcode": {"proto_id": 5}}}
    assert references_of(doc) == {("upstream", "a"), ("upstream", "7"), ("proto", "5")}
    keys = [op.key for op in mention(doc).ops]
    assert keys == ["/unilb/uses/proto/5", "/unilb/uses/upstream/7", "/unilb/uses/upstream/a"]


@pytest.mark.parametrize(
    "plugins",
    [None, 5, {}, {"traffic-split": 5}, {"traffic-split": {"rules": {}}}, {"grpc-transcode": []}]
    + [{"traffic-split": {"rules": [5, {"weighted_upstreams": [5, {"weight": 1}, {"upstream_id": None}]}]}}],
)
def test_what_names_nothing_or_is_broken_is_passed_over(plugins: Any) -> None:
    assert references_of({"plugins": plugins}) == set()


def test_their_number_is_limited() -> None:
    assert len(mention({"plugins": split(*range(1, MAX_REFERENCES + 50))}).ops) == MAX_REFERENCES
