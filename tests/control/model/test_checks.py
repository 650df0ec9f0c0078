"""One check for each kind."""

from typing import Any

import pytest

from control.model.checks import check
from control.model.errors import ModelError
from control.model.keys import PREFIXES

GOOD: dict[str, dict[str, Any]] = {
    "route": {"uri": "/a", "plugins": {}},
    "service": {},
    "upstream": {"nodes": {}},
    "consumer": {"username": "jack"},
    "credential": {"id": "jack/credentials/1"},
    "consumer_group": {"id": "1", "plugins": {}},
    "global_rule": {"id": "1", "plugins": {}},
    "plugin_config": {"id": "1", "plugins": {}},
    "stream_route": {},
    "graphql_cost_decoration": {"field_path": "Query.products"},
    "proto": {"content": "message A {}"},
    "secret": {"id": "vault/1", "uri": "http://a", "prefix": "b", "token": "c"},
    "node": {"role": "l4", "zone": "a", "address": "10.0.0.10"},
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_passes_and_anything_else_is_refused(kind: str) -> None:
    check(kind, GOOD[kind])
    for bad in ({**GOOD[kind], "id": "a b/"}, [], None, 5, "x"):
        with pytest.raises(ModelError):
            check(kind, bad)


def test_every_kind_of_the_store_that_people_write_has_one() -> None:
    for kind in PREFIXES.keys() - {"keys", "plugin_metadata"}:
        with pytest.raises(ModelError):
            check(kind, 5)


def test_client_certificates_inside_are_looked_at() -> None:
    tls = {"client_cert": "x" * 128, "client_key": "y" * 64}
    upstream = {"nodes": {}, "tls": tls}
    for kind, doc in (("upstream", upstream), ("route", {"uri": "/a", "upstream": upstream})):
        with pytest.raises(ModelError, match="failed to parse cert"):
            check(kind, doc)
