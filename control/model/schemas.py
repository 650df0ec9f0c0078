"""The JSON Schemas of all resources, by kind: what `schema/KIND` serves."""

from collections.abc import Mapping
from typing import Any

from control.model import (
    consumer,
    consumer_group,
    credential,
    fields,
    global_rule,
    graphql_cost_decoration,
    plugin_config,
    proto,
    route,
    secret,
    service,
    ssl,
    stream_route,
    upstream,
)
from control.model.schema import Check, Schema, on_demand

# The plugins that a gateway has, as it reads them from the store.
PLUGINS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "stream": {"type": "boolean"}},
        "required": ["name"],
    },
}
_VARIABLES = "uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id"
RESOURCES: Mapping[str, Schema] = {
    "route": route.SCHEMA,
    "service": service.SCHEMA,
    "upstream": upstream.SCHEMA,
    "consumer": consumer.SCHEMA,
    "credential": credential.SCHEMA,
    "consumer_group": consumer_group.SCHEMA,
    "graphql_cost_decoration": graphql_cost_decoration.SCHEMA,
    "ssl": ssl.SCHEMA,
    "global_rule": global_rule.SCHEMA,
    "plugin_config": plugin_config.SCHEMA,
    "proto": proto.SCHEMA,
    "stream_route": stream_route.SCHEMA,
}
# What `schema/KIND` knows: the resources, and parts of them that tools ask for by name.
SCHEMAS: Mapping[str, Schema] = {
    **RESOURCES,
    "plugins": PLUGINS,
    "id_schema": fields.ID,
    "upstream_hash_vars_schema": {"type": "string", "pattern": rf"^(({_VARIABLES})|arg_[0-9a-zA-z_-]+)$"},
    "upstream_hash_header_schema": {"type": "string", "pattern": "^[a-zA-Z0-9-_]+$"},
    "upstream_hash_vars_combinations_schema": {"type": "string"},
}
_SECRET: Mapping[str, Any] = {"anyOf": list(secret.SCHEMAS.values())}
# By collection, the word that paths use.
CHECKS: Mapping[str, Check] = {
    **{f"{kind}s": on_demand(schema, references=True) for kind, schema in RESOURCES.items()},
    "secrets": on_demand(_SECRET, references=True),
}
