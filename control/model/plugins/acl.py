"""acl: which labels of consumers may pass."""

from control.model.parts.fields import STATUS
from control.model.terms import choice, items, mapping, needs, record, text

NAME = "acl"
VERSION = 0.1
PRIORITY = 2410

_LABELS = mapping(items(text(), 1), at_least=1)

SCHEMA = record(
    {
        "allow_labels": _LABELS,
        "deny_labels": _LABELS,
        "rejected_code": STATUS,
        "rejected_msg": text(),
        "external_user_label_field": text(1, default="groups"),
        "external_user_label_field_key": text(1),
        "external_user_label_field_parser": choice("segmented_text", "json", "table"),
        "external_user_label_field_separator": text(1),
    },
    anyOf=[needs("allow_labels"), needs("deny_labels")],
    allOf=[
        {
            "if": {
                "properties": {"external_user_label_field_parser": {"const": "segmented_text"}},
                "required": ["external_user_label_field_parser"],
            },
            "then": needs("external_user_label_field_separator"),
        }
    ],
)
