"""What every store shares."""

import pytest

from control.store.base import MAX_COMPARES, MAX_OPS, MAX_VALUE_BYTES, Compare, Delete, Put, check_txn, prefix_end


@pytest.mark.parametrize(
    ("prefix", "end"), [("/apisix/routes/", "/apisix/routes0"), ("/", "0"), ("a", "b"), ("/unilb/t~", "/unilb/t\x7f")]
)
def test_the_end_of_a_prefix_comes_right_after_its_last_key(prefix: str, end: str) -> None:
    assert prefix_end(prefix) == end
    assert prefix <= prefix + "\U0010ffff" * 9 < end


def test_the_biggest_transaction_passes() -> None:
    compares = [Compare(f"/{n}", 0) for n in range(MAX_COMPARES)]
    check_txn(compares, [Delete(f"/{n}") for n in range(MAX_OPS - 1)] + [Put("/p", bytes(MAX_VALUE_BYTES))])


def test_the_error_names_the_key_of_a_value_that_is_too_big() -> None:
    with pytest.raises(ValueError, match="^/p: value of 1500001 bytes"):
        check_txn([], [Put("/p", bytes(MAX_VALUE_BYTES + 1))])
