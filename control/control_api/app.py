"""The Control API as an ASGI application: what is configured and how it does, for tools on the same machine."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from control.admin.plugins import described
from control.admin.reply import Reply, error
from control.control_api.dumps import Dumps
from control.control_api.health import Health, Own
from control.control_api.identity import Identity
from control.model.schemas import SCHEMAS
from control.store.base import Store, StoreError


def build(store: Store, own: Own | None = None) -> Starlette:
    """The whole application. `store` is read as it is: secrets are shown encrypted. `own`: see Health."""
    dumps, health, identity = Dumps(store), Health(store, own), Identity()
    routes: list[BaseRoute] = [
        Route("/v1/schema", _schema),
        Route("/v1/healthcheck", health.everything),
        Route("/v1/healthcheck/{collection}", health.nothing),
        Route("/v1/healthcheck/{collection}/{id}", health.one),
        Route("/v1/gc", _collect, methods=["POST"]),
        Route("/v1/plugins/reload", _reload, methods=["PUT"]),
        Route("/v1/plugin_metadatas", dumps.all_metadata),
        Route("/v1/plugin_metadata/{id}", dumps.metadata),
        Route("/v1/server_info", identity.show),
        Route("/v1/plugin/example-plugin/hello", _hello),
        *(Route(f"/v1/{kind}s", dumps.lists(kind)) for kind in Dumps.KINDS),
        *(Route(f"/v1/{kind}/{{id}}", dumps.shows(kind)) for kind in Dumps.KINDS),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={404: _not_found, 405: _not_found, StoreError: _unavailable},
    )


async def _schema(request: Request) -> Response:
    schemas = {"main": dict(SCHEMAS), "plugins": described("http"), "stream_plugins": described("stream")}
    return Reply(200, schemas).to_response()


async def _collect(request: Request) -> Response:
    # Memory is given back as it falls free: there is nothing to start.
    return Reply(200, "").to_response()


async def _reload(request: Request) -> Response:
    return Reply(200, "done").to_response()


async def _hello(request: Request) -> Response:
    """What the plugin example-plugin adds to this API."""
    answer: Any = {"msg": "world"} if "json" in request.query_params else "world\n"
    return Reply(200, answer).to_response()


async def _not_found(request: Request, _: Exception) -> Response:
    return error(404, "not found").to_response()


async def _unavailable(request: Request, problem: Exception) -> Response:
    return error(503, str(problem)).to_response()
