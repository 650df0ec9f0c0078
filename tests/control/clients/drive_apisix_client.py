"""Every call of PyPI's apisix-client, against the Admin API at argv[1] with the key argv[2]; JSON of what came of each.

Runs in an environment of its own: .build/apisix-client.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import attrs
from apisix_client import ApisixClient
from apisix_client.common import Pagging
from apisix_client.consumer.models import Consumer
from apisix_client.plugin.models.authentication import KeyAuth
from apisix_client.route.models import Route
from apisix_client.service.models import Service
from apisix_client.upstream.models import Node, Upstream

client = ApisixClient(sys.argv[1], sys.argv[2])
said: dict[str, Any] = {}


def call(name: str, ask: Callable[[], Any]) -> Any:
    try:
        result = ask()
    except Exception as problem:
        said[name] = f"{type(problem).__name__}: {problem}"[:300]
        return None
    said[name] = shown(result)
    return result


def shown(result: Any) -> Any:
    if attrs.has(type(result)):
        return {
            "key": result.key,
            "name": getattr(result.value, "name", None) or getattr(result.value, "username", None),
        }
    return [shown(item) for item in result] if isinstance(result, tuple) else result


UPSTREAM = Upstream(name="u", nodes=[Node(host="127.0.0.1", port=80, weight=1)])
OBJECTS = {
    "upstream": UPSTREAM,
    "service": Service(name="s", upstream_id="1"),
    "route": Route(name="r", uri="/a", service_id="1"),
}
for kind, made in OBJECTS.items():
    part = getattr(client, kind)
    call(f"{kind}.create_or_update", lambda part=part, made=made: part.create_or_update(made, "1"))
    call(f"{kind}.create_or_update again", lambda part=part, made=made: part.create_or_update(made, "1"))
    id = call(f"{kind}.create_with_id_generation", lambda part=part, made=made: part.create_with_id_generation(made))
    said[f"{kind}.create_with_id_generation"] = bool(id) and len(id) == 20
    call(f"{kind}.get", lambda part=part: part.get("1"))
    call(f"{kind}.get of nothing", lambda part=part: part.get("none"))
    call(f"{kind}.get_all", lambda part=part: len(part.get_all()))
    call(f"{kind}.get_all of a page", lambda part=part: len(part.get_all(Pagging(2, 10))))
    call(f"{kind}.count", lambda part=part: part.count())
    call(f"{kind}.delete", lambda part=part, id=id: part.delete(id))
    call(f"{kind}.delete of nothing", lambda part=part: part.delete("none"))
call("consumer.create_or_update", lambda: client.consumer.create_or_update(Consumer(username="jack")))
call(
    "consumer.create_or_update of a bad one",
    lambda: client.consumer.create_or_update(Consumer(username="j", plugins=[KeyAuth(key="")])),
)
call("consumer.get", lambda: client.consumer.get("jack"))
call("consumer.get of nothing", lambda: client.consumer.get("none"))
call("consumer.get_all", lambda: client.consumer.get_all())
call("consumer.get_all of a page", lambda: client.consumer.get_all(Pagging(1, 10)))
call("consumer.count", lambda: client.consumer.count())
call("consumer.delete", lambda: client.consumer.delete("jack"))
call("consumer.delete of nothing", lambda: client.consumer.delete("none"))
call("plugin.get_available", lambda: "key-auth" in client.plugin.get_available())
call("plugin.reload", lambda: client.plugin.reload())
for kind in ("credential", "global_rule", "secret", "ssl"):
    for name in ("get", "get_all", "delete", "count"):
        arguments = ("1",) if name in ("get", "delete") else ()
        call(f"{kind}.{name}", lambda kind=kind, name=name, a=arguments: getattr(getattr(client, kind), name)(*a))
print(json.dumps(said))
