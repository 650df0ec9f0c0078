"""Every resource's check by its kind: all that can be said of an object without looking at any other."""

from collections.abc import Callable, Mapping
from typing import Any

from control.model.consumer import check_consumer
from control.model.consumer_group import check_consumer_group
from control.model.credential import check_credential
from control.model.eip import Eip
from control.model.global_rule import GlobalRule
from control.model.graphql_cost_decoration import check_decoration
from control.model.node import Node
from control.model.pem import check_client_tls
from control.model.plugin_config import PluginConfig
from control.model.proto import check_proto
from control.model.route import Route
from control.model.secret import check_secret
from control.model.service import Service
from control.model.ssl import check_ssl
from control.model.stream_route import check_stream_route
from control.model.upstream import Upstream
from control.model.vip import Vip
from control.model.vpc import Vpc

_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "route": Route.from_json,
    "service": Service.from_json,
    "upstream": Upstream.from_json,
    "consumer": check_consumer,
    "credential": check_credential,
    "consumer_group": check_consumer_group,
    "graphql_cost_decoration": check_decoration,
    "ssl": check_ssl,
    "global_rule": GlobalRule.from_json,
    "plugin_config": PluginConfig.from_json,
    "stream_route": check_stream_route,
    "proto": check_proto,
    "vpc": Vpc.from_json,
    "vip": Vip.from_json,
    "eip": Eip.from_json,
    "node": Node.from_json,
}


def check(kind: str, doc: object) -> None:
    """Raise ModelError, with the Admin API's words, for an object that it would not store. `doc` carries its id.

    The id of a secret says which manager it is for: "vault/1". Raises KeyError for an unknown kind.
    """
    if kind == "secret":
        manager = str(doc.get("id", "")).partition("/")[0] if isinstance(doc, dict) else ""
        check_secret(doc, manager)
        return
    _CHECKS[kind](doc)
    assert isinstance(doc, dict)
    inside = doc if kind == "upstream" else doc.get("upstream")
    if inside is not None:
        check_client_tls(inside)
