"""`/apisix/admin/schema`: the JSON Schema of everything, and a check against it."""

from starlette.requests import Request

from control.admin.body import bad_json, parse_body, read_body
from control.admin.plugins import plugin_schema
from control.admin.reply import UNKNOWN_METHOD, Reply, error
from control.model.plugins import PLUGINS
from control.model.schemas import CHECKS, SCHEMAS


class SchemaPages:
    """`schema/KIND`, `schema/plugins/NAME`, `schema/validate/COLLECTION`."""

    async def __call__(self, request: Request, path: str) -> Reply:
        kind, _, rest = path.partition("/")
        if kind == "validate":
            return await _validate(request, rest) if request.method == "POST" else UNKNOWN_METHOD
        if request.method != "GET":
            return UNKNOWN_METHOD
        if kind == "plugins" and rest:
            return _plugin(rest, request.query_params.get("schema_type", ""))
        schema = SCHEMAS.get(kind)
        return Reply(400, f"not found schema: {kind}") if schema is None else Reply(200, schema)


def _plugin(name: str, place: str) -> Reply:
    subsystem = "stream" if name in PLUGINS and "route" not in PLUGINS[name].schemas else "http"
    return plugin_schema(name, subsystem, place)


async def _validate(request: Request, collection: str) -> Reply:
    check = CHECKS.get(collection)
    if check is None:
        return error(404, f"Unsupported resource type: {collection}")
    raw = await read_body(request)
    if isinstance(raw, Reply):
        return raw
    try:
        doc = parse_body(raw)
    except ValueError as problem:
        return bad_json(raw, problem)
    problem_found = check(doc)
    return Reply(200, "") if problem_found is None else error(400, problem_found)
