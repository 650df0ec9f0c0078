"""Stream routes. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.stream_route import check_stream_route

GOOD: list[dict[str, Any]] = [
    {},
    {"remote_addr": "10.0.0.0/8", "server_addr": "::1", "server_port": 9, "sni": "*.a.b", "upstream_id": 1},
    {"upstream": {"nodes": {"127.0.0.1:1": 1}, "scheme": "tls"}, "service_id": "s"},
    {"protocol": {"name": "redis", "conf": {"faults": [{"commands": ["get"], "delay": 5}]}, "superior_id": "2"}},
]


@pytest.mark.parametrize("doc", GOOD)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_stream_route(doc)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        {"uri": "/"},
        {"server_port": 65536},
        {"id": "1", "protocol": {"name": "redis", "superior_id": 1}},
        {"protocol": {"name": "redis", "conf": {"faults": [{"delay": 5}]}}},
        {"upstream": {"nodes": {"a:0": 1}}},
    ],
)
def test_it_is_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        check_stream_route(doc)
