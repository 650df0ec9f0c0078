import pytest

from control.model.keys import STICKY_KEYS
from tests.userspace.config.objects_in_store import route, sticky_keys, upstream
from userspace.config import snapshot as snapshots
from userspace.config.snapshot import EMPTY, Snapshot, apply, changed_keys, replace


def full() -> Snapshot:
    return apply(EMPTY, 5, [route("r1", "/a"), upstream("u1"), sticky_keys(1)])


def test_objects_are_parsed_and_found_by_id() -> None:
    snapshot = full()
    assert (snapshot.revision, snapshot.routes["r1"].uris) == (5, ("/a",))
    assert snapshot.upstreams["u1"].endpoints[0].address == "10.0.0.1:80"
    assert snapshot.sticky_keys is not None
    assert dict(snapshot.rejected) == {}
    assert snapshot.changed == {"/apisix/routes/r1", "/apisix/upstreams/u1", STICKY_KEYS}


def test_a_change_touches_what_it_names() -> None:
    before = full()
    after = apply(before, 6, [route("r2", "/b")])
    assert set(after.routes) == {"r1", "r2"}
    assert set(before.routes) == {"r1"}
    assert after.routes["r1"] is before.routes["r1"]
    assert after.upstreams is before.upstreams
    assert after.changed == {"/apisix/routes/r2"}


def test_a_deleted_key_is_gone() -> None:
    after = apply(full(), 6, [("/apisix/routes/r1", None), (STICKY_KEYS, None), ("/apisix/routes/never", None)])
    assert (dict(after.routes), after.sticky_keys) == ({}, None)
    assert after.changed == {"/apisix/routes/r1", STICKY_KEYS}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("/apisix/routes/r1", b"{", "JSON"),
        ("/apisix/routes/r1", b"[]", ""),
        ("/apisix/routes/r1", b'{"uri": 5}', "uri"),
        ("/apisix/routes/r1", b"\xff", ""),
        ("/apisix/routes/r1", b"[" * 100_000, ""),
        ("/apisix/upstreams/u1", b'{"type": "roundrobin"}', "invalid configuration"),
        (STICKY_KEYS, b'{"current": "short"}', "current"),
    ],
)
def test_a_bad_object_is_rejected_by_name_and_its_last_good_version_stays(key: str, value: bytes, why: str) -> None:
    before = full()
    after = apply(before, 6, [(key, value), route("r2")])
    assert list(after.rejected) == [key]
    assert why.lower() in after.rejected[key].lower()
    assert after.routes["r1"] == before.routes["r1"]
    assert after.upstreams["u1"] == before.upstreams["u1"]
    assert after.sticky_keys == before.sticky_keys
    assert after.changed == {"/apisix/routes/r2"}
    assert dict(before.rejected) == {}


def test_a_rejection_ends_with_a_good_version_or_with_the_key() -> None:
    bad = apply(full(), 6, [("/apisix/routes/r1", b"{")])
    assert not apply(bad, 7, [route("r1", "/b")]).rejected
    assert not apply(bad, 7, [("/apisix/routes/r1", None)]).rejected
    assert (
        apply(bad, 7, [("/apisix/routes/r1", b"5")]).rejected["/apisix/routes/r1"] != bad.rejected["/apisix/routes/r1"]
    )


def test_a_fault_of_a_reader_rejects_one_object_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(document: object, id: str) -> object:
        raise RuntimeError("boom")

    monkeypatch.setitem(snapshots._READERS, "upstream", broken)  # type: ignore[arg-type]
    after = apply(EMPTY, 1, [upstream("u1"), route("r1")])
    assert dict(after.rejected) == {"/apisix/upstreams/u1": "RuntimeError: boom"}
    assert set(after.routes) == {"r1"}


def test_placeholders_and_keys_of_others_are_passed_over() -> None:
    keys = [
        ("/apisix/routes/", b"init_dir"),
        ("/apisix/plugins", b"[]"),
        ("/apisix/routes/a/b", b"{}"),
        ("/unilb/unique_ips/100.64.0.1", b"{}"),
        ("/unilb/keys/other", b"{}"),
        ("/elsewhere", b""),
    ]
    after = apply(EMPTY, 1, keys)
    assert (after.revision, after.changed, dict(after.rejected)) == (1, frozenset(), {})


def test_the_last_change_of_a_key_wins() -> None:
    after = apply(EMPTY, 1, [route("r1", "/a"), route("r1", "/b"), route("r2"), ("/apisix/routes/r2", None)])
    assert {id: found.uris for id, found in after.routes.items()} == {"r1": ("/b",)}


def test_an_equal_object_is_no_change() -> None:
    before = full()
    after = apply(before, 6, [route("r1", "/a")])
    assert after.changed == frozenset()
    assert after.routes is before.routes


def test_replacing_drops_what_is_not_listed_and_keeps_what_is_equal() -> None:
    before = apply(full(), 6, [route("r2", "/b"), ("/apisix/routes/bad", b"{")])
    after = replace(before, 9, [route("r1", "/a"), route("r3", "/c")])
    assert set(after.routes) == {"r1", "r3"}
    assert after.routes["r1"] is before.routes["r1"]
    assert (dict(after.upstreams), after.sticky_keys, dict(after.rejected)) == ({}, None, {})
    assert after.changed == {"/apisix/routes/r2", "/apisix/routes/r3", "/apisix/upstreams/u1", STICKY_KEYS}


def test_a_listed_object_that_is_bad_now_keeps_its_last_good_version() -> None:
    after = replace(full(), 9, [("/apisix/routes/r1", b"{"), upstream("u1")])
    assert after.routes["r1"].uris == ("/a",)
    assert list(after.rejected) == ["/apisix/routes/r1"]


def test_the_keys_in_which_any_two_snapshots_differ() -> None:
    first = full()
    second = apply(first, 6, [route("r2")])
    third = apply(second, 7, [("/apisix/routes/r1", None), sticky_keys(2)])
    assert changed_keys(first, second) is second.changed
    assert changed_keys(first, third) == {"/apisix/routes/r1", "/apisix/routes/r2", STICKY_KEYS}
    assert changed_keys(third, first) == changed_keys(first, third)
    assert changed_keys(first, full()) == frozenset()
