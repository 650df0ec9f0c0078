"""GraphQL cost decoration: what a field costs where graphql-limit-count counts. It stands below its service."""

from control.model.fields import COMMON, ID
from control.model.schema import check_configuration, on_demand
from control.model.terms import items, number, text

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_ARGUMENTS = items(text(1))
# A cost is `add_value` and the values of `add_arguments`, times `mul_value` and those of `mul_arguments`.
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "service_id": ID,
        # A type, one of its fields, or a chain of fields: Product, Product.reviews, Query.products.nodes.
        "field_path": text(pattern=rf"^{_NAME}(\.{_NAME})*$"),
        "add_arguments": _ARGUMENTS,
        "add_value": number(0, default=1),
        "mul_arguments": _ARGUMENTS,
        "mul_value": number(0, default=1),
    },
    "required": ["field_path"],
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)


def check_decoration(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
