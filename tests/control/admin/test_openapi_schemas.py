"""Draft 7 becomes draft 2020-12, and means the same."""

import pytest
from jsonschema import Draft202012Validator

from control.admin.openapi_schemas import name_of, schemas, stored_name, translate
from control.model.ssl import hide
from control.model.upstream import SCHEMA as UPSTREAM
from tests.control.admin.in_process import EXAMPLES
from tests.control.admin.in_process import UPSTREAM as GOOD_UPSTREAM


def judge(name: str, value: object) -> bool:
    components = schemas()
    return Draft202012Validator({**components[name], "components": {"schemas": components}}).is_valid(value)


def test_dependencies_part_into_names_and_schemas() -> None:
    made = translate({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}})
    assert made == {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}


def test_what_has_a_default_is_not_required() -> None:
    schema = {"properties": {"a": {"default": 1}, "b": {}}, "required": ["a", "b"]}
    assert translate(schema)["required"] == ["b"]


def test_what_is_no_word_of_json_schema_is_an_extension() -> None:
    assert translate({"encrypt_fields": ["a"]}) == {"x-encrypt-fields": ["a"]}


def test_properties_may_be_called_like_words() -> None:
    assert translate({"properties": {"items": {"type": "string"}, "required": {"type": "string"}}}) == {
        "properties": {"items": {"type": "string"}, "required": {"type": "string"}}
    }


def test_a_shared_schema_is_a_reference() -> None:
    assert translate({"properties": {"upstream": UPSTREAM}}) == {
        "properties": {"upstream": {"$ref": "#/components/schemas/Upstream"}}
    }


def test_names_of_components() -> None:
    assert (name_of("plugin_config"), stored_name("route"), stored_name("ssl")) == (
        "PluginConfig",
        "Route",
        "SslStored",
    )


@pytest.mark.parametrize("collection", EXAMPLES)
def test_a_good_object_matches_and_a_bad_one_does_not(collection: str) -> None:
    word = collection.removesuffix("/vault").rpartition("/")[2]
    name = name_of(word if word == "plugin_metadata" else word.removesuffix("s"))
    _, doc = EXAMPLES[collection]
    assert judge(name, doc)
    assert not judge(name, [])


def test_an_upstream_may_name_its_vpc() -> None:
    assert judge("Upstream", {**GOOD_UPSTREAM, "vpc_id": "blue"})
    assert not judge("Upstream", {**GOOD_UPSTREAM, "surprise": 1})


def test_a_certificate_is_shown_without_its_key() -> None:
    _, doc = EXAMPLES["/apisix/admin/ssls"]
    assert judge("SslStored", hide(doc))
    assert not judge("Ssl", hide(doc))


def test_a_value_that_gateways_fetch_stands_for_any_part_of_a_certificate() -> None:
    _, doc = EXAMPLES["/apisix/admin/ssls"]
    assert judge("Ssl", {**doc, "key": "$secret://vault/1/key", "cert": "$env://CERT"})
    assert not judge("Ssl", {**doc, "key": "short"})
