from userspace.obs import fold
from userspace.obs.fold import Row, Sums, add_rows

ROW: Row = [{"200": 1}, 10, 20, [1, 0, 1.5], [0, 1, 2.5], [1, 0, 0.5]]


def test_rows_add_element_by_element_and_leave_their_parts_alone() -> None:
    other: Row = [{"200": 2, "404": 1}, 1, 2, [1, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert add_rows(ROW, other) == [{"200": 3, "404": 1}, 11, 22, [2, 1, 2.5], [1, 2, 3.5], [2, 1, 1.5]]
    assert ROW[0] == {"200": 1}


def test_sums_add_every_kind_of_value() -> None:
    one, two = Sums(), Sums()
    one.totals, two.totals = {"requests": 1}, {"requests": 2, "retries": 1}
    two.errors, two.sticky = {"client bad_request": 1}, {"new": 1}
    one.series[("r", "u", "e")] = two.series[("r", "u", "e")] = ROW
    two.http.status.take(("200",), 3, 0.0)
    one.add(two)
    assert one.totals == {"requests": 3, "retries": 1}
    assert one.errors == {"client bad_request": 1} and one.sticky == {"new": 1}
    assert one.series[("r", "u", "e")][1] == 20
    assert one.http.status.values == {("200",): 3}
    assert two.series[("r", "u", "e")] == ROW


def test_new_series_past_the_limit_fold_into_other(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(fold, "MAX_SERIES", 2)
    sums = Sums()
    for number in range(4):
        one = Sums()
        one.series[(f"r{number}", "u", "e")] = ROW
        sums.add(one)
    assert set(sums.series) == {("r0", "u", "e"), ("r1", "u", "e"), ("other", "other", "other")}
    assert sums.series[("other", "other", "other")][0] == {"200": 2}
