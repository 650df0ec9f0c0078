"""Health checks, as far as the control plane runs any: gateways check their endpoints, so there is no checker here."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from control.admin.reply import Reply, error
from control.model.keys import key_of
from control.store.base import Store

_KINDS = {"routes": "route", "services": "service", "upstreams": "upstream", "stream_routes": "stream_route"}
_PAGE = "<html><head><title>APISIX upstream check status</title></head><body><h1>No checkers</h1></body></html>\n"


class Health:
    """Answers as APISIX does where nothing is checked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def everything(self, request: Request) -> Response:
        """The state of every checker: a list, or a page for people."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_PAGE)
        return Reply(200, []).to_response()

    async def one(self, request: Request) -> Response:
        """The state of the checker of one object."""
        collection, id = request.path_params["collection"], request.path_params["id"]
        if collection not in _KINDS:
            return error(400, f"invalid src type {collection}").to_response()
        if await self._store.get(key_of(_KINDS[collection], id)) is None:
            return error(404, f"{collection}[{id}] not found").to_response()
        return error(404, f"no checker for {collection}[{id}]").to_response()
