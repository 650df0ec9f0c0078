"""Endpoints much slower than their like."""

import pytest

from control.model.health import Latency
from userspace.health.outliers import Outliers

LATENCY = Latency(factor=3, seconds=0.1, requests=20, eject=30, share=50)


def judged(means: dict[str, tuple[int, float]], of: list[str] | None = None, latency: Latency = LATENCY) -> set[str]:
    outliers = Outliers()
    for endpoint, (requests, mean) in means.items():
        outliers.add(endpoint, requests, requests * mean)
    return set(outliers.judge(latency, of or list(means), 0))


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"a": (100, 20.0), "b": (100, 25.0), "c": (100, 400.0)}, {"c"}),
        ({"a": (100, 20.0), "c": (100, 400.0)}, {"c"}),
        ({"a": (100, 20.0), "b": (100, 25.0), "c": (19, 400.0)}, set()),  # too few to tell
        ({"a": (100, 2.0), "b": (100, 2.0), "c": (100, 90.0)}, set()),  # below `seconds`
        ({"a": (100, 200.0), "b": (100, 250.0), "c": (100, 500.0)}, set()),  # all are slow
        ({"c": (100, 4000.0)}, set()),  # nobody to compare with
        ({"a": (100, 10.0), "b": (100, 500.0), "c": (100, 900.0), "d": (100, 11.0)}, {"c", "b"}),
        ({"a": (100, 10.0), "b": (100, 500.0), "c": (100, 900.0)}, {"c"}),  # no more than half of them
    ],
)
def test_an_outlier_is_slower_than_the_others(means: dict[str, tuple[int, float]], expected: set[str]) -> None:
    assert judged(means) == expected


def test_an_endpoint_that_is_no_more_is_not_judged() -> None:
    assert judged({"a": (100, 10.0), "b": (100, 10.0), "c": (100, 900.0)}, of=["a", "b"]) == set()


def slow(outliers: Outliers, now: float) -> dict[str, str]:
    for endpoint, mean in (("a", 10.0), ("b", 10.0), ("c", 900.0)):
        outliers.add(endpoint, 100, 100 * mean)
    return outliers.judge(LATENCY, ["a", "b", "c"], now)


def test_it_is_left_out_for_a_while_and_longer_each_time_in_a_row() -> None:
    outliers = Outliers()
    assert slow(outliers, 0)["c"] == "latency of 900 ms, the others' is 10 ms"
    assert outliers.out(29) == {"c"} and outliers.out(31) == set()
    assert list(slow(outliers, 35)) == ["c"]
    assert outliers.out(94) == {"c"} and outliers.out(96) == set()


def test_after_as_long_in_favour_it_is_forgotten() -> None:
    outliers = Outliers()
    slow(outliers, 0)
    assert outliers.judge(LATENCY, ["a", "b", "c"], 61) == {}
    assert outliers.ejected == {}
    slow(outliers, 62)
    assert outliers.out(91) == {"c"} and outliers.out(93) == set()
