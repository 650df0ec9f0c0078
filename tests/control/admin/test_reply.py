"""Answers."""

import pytest

from control.admin.reply import Reply, dump, error


@pytest.mark.parametrize(
    ("reply", "body", "media_type"),
    [
        (Reply(200, {"a": [1, None]}), b'{"a":[1,null]}\n', "application/json"),
        (Reply(200, b'{"raw":1}'), b'{"raw":1}\n', "application/json"),
        (Reply(400, "plain"), b"plain", "text/plain; charset=utf-8"),
        (error(400, "Größe", more="x"), '{"error_msg":"Größe","more":"x"}\n'.encode(), "application/json"),
    ],
)
def test_json_ends_in_a_newline_and_plain_text_does_not(reply: Reply, body: bytes, media_type: str) -> None:
    response = reply.to_response()
    assert (response.body, response.headers["Content-Type"]) == (body, media_type)


def test_only_writes_tell_a_revision() -> None:
    assert Reply(200, {}, revision=7).to_response().headers["X-Unilb-Revision"] == "7"
    assert "X-Unilb-Revision" not in Reply(200, {}).to_response().headers


def test_what_is_not_json_is_never_sent() -> None:
    with pytest.raises(ValueError):
        dump(float("nan"))
