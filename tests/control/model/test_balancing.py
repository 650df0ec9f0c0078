"""Warm-up, zone preference and panic threshold of an upstream."""

from typing import Any

import pytest

from control.model.balancing import TYPES, WarmUp
from control.model.errors import ModelError
from control.model.upstream import Endpoint, Upstream

WARM_UP = {"slow_start_time_seconds": 300}


def test_the_share_follows_the_curve_of_apisix() -> None:
    linear = WarmUp(seconds=300, least=0.01)
    ages = (0, 1, 30, 150, 299.9, 300, 3000)
    assert [round(linear.share(age), 4) for age in ages] == [0.01, 0.01, 0.1, 0.5, 0.9967, 1, 1]
    assert WarmUp(seconds=10, least=0.01).share(0) == 0.1, "the first second counts"
    assert WarmUp(seconds=100, aggression=2).share(25) == 0.5
    assert WarmUp(seconds=100, aggression=0.5).share(50) == 0.25
    assert WarmUp(seconds=100, least=0.3).share(5) == 0.3


def test_shares_change_once_in_an_interval() -> None:
    warm_up = WarmUp(seconds=100, interval=10)
    assert warm_up.share(20) == warm_up.share(29.9) == 0.2 < warm_up.share(30)


def test_shares_only_grow() -> None:
    for warm_up in (WarmUp(7, interval=3), WarmUp(60, 0.05, 1, 4.0), WarmUp(1), WarmUp(5, interval=30)):
        shares = [warm_up.share(age / 4) for age in range(300)]
        assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1


def test_defaults_and_every_field() -> None:
    assert WarmUp.from_json(WARM_UP) == WarmUp(300, 0.1, 1, 1, 0)
    doc = {"min_weight_percent": 1, "interval": 5, "aggression": 0.5, "startup_grace_period_seconds": 180}
    assert WarmUp.from_json({**WARM_UP, **doc}) == WarmUp(300, 0.01, 5, 0.5, 180)


def test_an_upstream_reads_what_concerns_its_balancing() -> None:
    doc: dict[str, Any] = {
        "type": "chash",
        "key": "arg_a",
        "nodes": [
            {"host": "10.0.0.1", "port": 80, "weight": 1, "metadata": {"zone": "a"}},
            {"host": "10.0.0.2", "port": 80, "weight": 1, "metadata": {"zone": ["b"]}},
        ],
        "warm_up_conf": WARM_UP,
        "zone_preference": {},
        "panic_threshold": 50.0,
    }
    upstream = Upstream.from_json(doc)
    assert (upstream.type, upstream.hash_on, upstream.key) == ("chash", "vars", "arg_a")
    assert upstream.endpoints[0] == Endpoint("10.0.0.1", 80, 1, zone="a")
    assert upstream.endpoints[1].zone is None, "what APISIX's users keep in metadata is theirs"
    assert (upstream.warm_up, upstream.spill_over, upstream.panic_threshold) == (WarmUp(300), 70, 50)
    plain = Upstream.from_json({"nodes": {}})
    assert (plain.warm_up, plain.spill_over, plain.panic_threshold) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"warm_up_conf": {}}, 'property "warm_up_conf" validation failed: property "slow_start_time_seconds" is'),
        ({"warm_up_conf": {**WARM_UP, "aggression": 0}}, 'property "aggression" validation failed: expected 0 to be'),
        ({"warm_up_conf": {**WARM_UP, "min_weight_percent": 101}}, 'property "min_weight_percent" validation failed'),
        ({"warm_up_conf": {**WARM_UP, "x": 1}}, "additional properties forbidden, found x"),
        ({"zone_preference": {"spill_over": 101}}, 'property "spill_over" validation failed: expected 101 to be at'),
        ({"zone_preference": True}, 'property "zone_preference" validation failed: wrong type'),
        ({"panic_threshold": -1}, 'property "panic_threshold" validation failed: expected -1 to be at least 0'),
    ],
)
def test_bad_values_are_refused_by_name(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(ModelError) as raised:
        Upstream.from_json({"nodes": {}, **fields})
    assert error in str(raised.value)


def test_roundrobin_is_the_default_type() -> None:
    assert Upstream.from_json({"nodes": {}}).type == TYPES[0]
