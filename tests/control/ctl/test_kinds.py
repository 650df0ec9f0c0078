import pytest

from control.ctl.kinds import BY_NAME, KINDS, RANK, kind_named
from control.model.keys import PREFIXES


def test_one_and_many_name_the_same_kind() -> None:
    assert kind_named("route") is kind_named("routes")


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match='unknown kind "rotues", known are .*routes'):
        kind_named("rotues")


def test_what_is_referred_to_is_written_before_what_refers_to_it() -> None:
    for before, after in [
        *(("vpcs", "upstreams"), ("ssls", "upstreams"), ("upstreams", "services"), ("services", "routes")),
        *(("consumer_groups", "consumers"), ("consumers", "credentials"), ("plugin_configs", "routes")),
        *(("protos", "routes"), ("services", "stream_routes")),
    ]:
        assert RANK[before] < RANK[after]


def test_keys_of_answers_are_those_of_the_store() -> None:
    ours = {kind.name: kind.prefix for kind in KINDS}
    for name, prefix in PREFIXES.items():
        assert name == "keys" or name not in ours or ours[name] == prefix


def test_credentials_are_found_below_consumers() -> None:
    assert BY_NAME["credentials"].path == "/apisix/admin/consumers"
    assert BY_NAME["vpcs"].path == "/unilb/vpcs"
