"""The key space."""

import pytest

from control.model.keys import (
    CONFIGURATION,
    PREFIXES,
    SERVED,
    STICKY_KEYS,
    credentials_of,
    decorations_of,
    is_placeholder,
    key_of,
    kind_of,
)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("/apisix/routes/1", ("route", "1")),
        ("/apisix/upstreams/a.b", ("upstream", "a.b")),
        ("/unilb/vpcs/blue", ("vpc", "blue")),
        ("/unilb/vips/web", ("vip", "web")),
        ("/unilb/nodes/gw1", ("node", "gw1")),
        (STICKY_KEYS, ("keys", "sticky")),
        ("/apisix/routes/", None),
        ("/apisix/routes", None),
        ("/apisix/routes/1/2", None),
        ("/apisix/services/1", ("service", "1")),
        ("/apisix/consumers/jack", ("consumer", "jack")),
        ("/apisix/consumers/jack/credentials/1", ("credential", "jack/credentials/1")),
        ("/apisix/consumers/jack/credentials/", None),
        ("/apisix/consumers//credentials/1", None),
        ("/apisix/consumers/jack/credentials/1/2", None),
        ("/apisix/consumers/jack/other/1", None),
        ("/apisix/services/1/graphql_cost_decorations/d", ("graphql_cost_decoration", "1/graphql_cost_decorations/d")),
        ("/apisix/services/1/graphql_cost_decorations/", None),
        ("/apisix/services//graphql_cost_decorations/d", None),
        ("/apisix/services/1/graphql_cost_decorations/d/e", None),
        ("/apisix/services/1/credentials/d", None),
        ("/apisix/consumers/jack/graphql_cost_decorations/d", None),
        ("/apisix/secrets/vault/1", ("secret", "vault/1")),
        ("/apisix/secrets/vault", None),
        ("/apisix/secrets/vault/", None),
        ("/apisix/secrets/a/b/c", None),
        ("/apisix/nothing/1", None),
        ("/apisix/plugins", None),
        ("/unilb/unique_ips/100.64.0.1", None),
        ("/unilb/uses/vpc/blue", None),
        ("", None),
    ],
)
def test_a_key_says_what_it_holds(key: str, kind: tuple[str, str] | None) -> None:
    assert kind_of(key) == kind
    if kind is not None and kind[0] in PREFIXES:
        assert key_of(*kind) == key and key.startswith(CONFIGURATION) is (kind[0] in SERVED)


def test_credentials_stand_below_their_consumer() -> None:
    assert kind_of(credentials_of("jack") + "1") == ("credential", "jack/credentials/1")


def test_decorations_stand_below_their_service() -> None:
    assert kind_of(decorations_of("1") + "d") == ("graphql_cost_decoration", "1/graphql_cost_decorations/d")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("/apisix/routes/", b"init_dir", True),
        ("/apisix/routes/", b"{}", True),
        ("/apisix/routes/", b'{"uri":"/a"}', False),
        ("/apisix/routes/1", b"init_dir", False),
    ],
)
def test_placeholders_are_told_apart(key: str, value: bytes, expected: bool) -> None:
    assert is_placeholder(key, value) is expected
