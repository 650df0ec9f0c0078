"""The parts of operations."""

from control.admin.openapi_parts import failures, request_body


def test_a_failure_has_the_form_of_an_error() -> None:
    content = failures(503)["503"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def test_what_is_not_found_has_two_forms() -> None:
    forms = failures(404)["404"]["content"]["application/json"]["schema"]["anyOf"]
    assert [form["$ref"].rpartition("/")[2] for form in forms] == ["Error", "KeyNotFound"]


def test_only_a_400_may_be_plain_text() -> None:
    made = failures(400, 401, plain=True)
    assert ["text/plain" in response["content"] for response in made.values()] == [True, False]


def test_too_many_requests_say_when_to_come_back() -> None:
    assert "Retry-After" in failures(429)["429"]["headers"]


def test_a_body_is_json_and_may_be_yaml() -> None:
    assert list(request_body({})["content"]) == ["application/json"]
    assert list(request_body({}, yaml=True)["content"]) == ["application/json", "application/yaml"]
