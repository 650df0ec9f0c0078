"""Plugins of global rules, routes and consumers as they come and go in snapshots."""

import json
from typing import Any

import pytest

from tests.requests import asked
from userspace.config.compile_routing import Router
from userspace.config.snapshot import apply
from userspace.plugins.chain import EMPTY, Chain
from userspace.plugins.outcome import Reply

UPSTREAM = {"type": "roundrobin", "nodes": {"10.0.0.1:80": 1}}
ABORT = {"fault-injection": {"abort": {"http_status": 418}}}


def put(router: Router, **objects: Any) -> None:
    changes = [
        ("/apisix/" + key.replace("__", "/"), None if doc is None else json.dumps(doc).encode())
        for key, doc in objects.items()
    ]
    snapshot = apply(router.snapshot, router.snapshot.revision + 1, changes)
    assert not dict(snapshot.rejected), dict(snapshot.rejected)
    router.apply(snapshot)


def names(chain: Chain | Reply) -> list[str]:
    assert isinstance(chain, Chain)
    return [step.name for step in chain.steps]


def chain_of(router: Router, path: str = "/a") -> Chain:
    found = router.match(asked("h", path))
    assert found is not None
    return found.chain


def route(**more: Any) -> dict[str, Any]:
    return {"id": "r", "uri": "/a", "upstream": UPSTREAM, **more}


def test_a_route_has_its_own_plugins_and_those_of_its_parts() -> None:
    router = Router()
    put(router, services__s={"id": "s", "plugins": ABORT}, routes__r=route(service_id="s", plugins={"key-auth": {}}))
    assert names(chain_of(router)) == ["fault-injection", "key-auth"]
    put(router, services__s={"id": "s"})
    assert names(chain_of(router)) == ["key-auth"]
    put(router, routes__r=route())
    assert chain_of(router) is EMPTY


def test_a_filter_survives_a_change_of_its_route_elsewhere() -> None:
    router = Router()
    put(router, routes__r=route(plugins=ABORT))
    [before] = chain_of(router).steps
    put(router, routes__r=route(plugins=ABORT, priority=5))
    [after] = chain_of(router).steps
    assert after.filter is before.filter


def test_global_rules_are_one_chain() -> None:
    router = Router()
    put(router, global_rules__1={"id": "1", "plugins": {"key-auth": {}}}, global_rules__2={"id": "2", "plugins": ABORT})
    assert names(router.plugins.rules) == ["fault-injection", "key-auth"]
    put(router, global_rules__1=None, global_rules__2=None)
    assert router.plugins.rules is EMPTY


def test_a_consumer_brings_its_plugins_and_its_groups_but_not_how_it_is_known() -> None:
    router = Router()
    put(
        router,
        routes__r=route(plugins={"key-auth": {}}),
        consumer_groups__g={"id": "g", "plugins": ABORT},
        consumers__jack={"username": "jack", "group_id": "g", "plugins": {"key-auth": {"key": "k"}}},
    )
    found = router.match(asked("h", "/a"))
    jack = router.snapshot.consumers["jack"]
    chain = router.plugins.for_consumer(found, jack)
    assert names(chain) == ["fault-injection", "key-auth"]
    assert router.plugins.for_consumer(found, jack) is chain
    assert chain_of(router).steps[0].filter in [step.filter for step in chain.steps]  # type: ignore[union-attr]
    put(router, consumer_groups__g={"id": "g", "plugins": {}})
    assert router.plugins.for_consumer(found, jack) is chain_of(router)


def test_a_consumer_whose_group_is_missing_is_answered_503() -> None:
    router = Router()
    put(router, routes__r=route(), consumers__jack={"username": "jack", "group_id": "none"})
    reply = router.plugins.for_consumer(router.match(asked("h", "/a")), router.snapshot.consumers["jack"])
    assert isinstance(reply, Reply) and reply.status == 503


def test_kept_chains_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("userspace.config.compile_plugins.MAX_KEPT", 2)
    router = Router()
    put(router, routes__r=route())
    found = router.match(asked("h", "/a"))
    assert found is not None
    for name in ("a", "b", "c"):
        put(router, **{f"consumers__{name}": {"username": name, "plugins": ABORT}})
        router.plugins.for_consumer(found, router.snapshot.consumers[name])
    assert len(found.merged) == 1 and len(router.plugins._consumers) == 1


def test_metadata_is_read_with_its_defaults() -> None:
    router = Router()
    put(router, **{"plugin_metadata__limit-count": {"limit_header": "X-L"}})
    assert router.plugins._metadata("limit-count") == {
        "limit_header": "X-L", "remaining_header": "X-RateLimit-Remaining", "reset_header": "X-RateLimit-Reset",
    }  # fmt: skip
    assert router.plugins._metadata("key-auth") == {}
    assert router.plugins._metadata("key-auth") is router.plugins._metadata("cors"), "it may be compared by identity"


def test_a_service_is_known_by_its_name() -> None:
    router = Router()
    put(router, services__s={"id": "s", "name": "shop"})
    assert (router.plugins._service_name("s"), router.plugins._service_name("none")) == ("shop", "")
