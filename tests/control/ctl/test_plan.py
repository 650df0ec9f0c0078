from typing import Any

from control.ctl.kinds import BY_NAME
from control.ctl.manifest import Manifest, Wanted
from control.ctl.plan import Action, differences, plan

Live = dict[tuple[str, str], dict[str, Any]]


def manifest(*objects: tuple[str, str, dict[str, Any]]) -> Manifest:
    wanted = tuple(Wanted(BY_NAME[collection], id, doc) for collection, id, doc in objects)
    return Manifest(wanted, frozenset(collection for collection, _, _ in objects))


def told(*objects: tuple[str, str, dict[str, Any]], live: Live, prune: bool = False, force: bool = False) -> list[str]:
    steps = plan(manifest(*objects), live, prune, force)
    return [f"{step.action.value} {'/'.join(step.name)}" for step in steps]


def test_what_is_referred_to_comes_first_whatever_the_order_of_the_file() -> None:
    steps = told(("routes", "1", {}), ("services", "s", {}), ("upstreams", "u", {}), ("vpcs", "b", {}), live={})
    assert steps == ["created vpcs/b", "created upstreams/u", "created services/s", "created routes/1"]


def test_unchanged_objects_are_not_written_unless_forced() -> None:
    live: Live = {("routes", "1"): {"uri": "/", "id": "1", "create_time": 1, "update_time": 2}}
    assert told(("routes", "1", {"uri": "/"}), live=live) == ["unchanged routes/1"]
    assert told(("routes", "1", {"uri": "/"}), live=live, force=True) == ["configured routes/1"]
    assert told(("routes", "1", {"uri": "/x"}), live=live) == ["configured routes/1"]


def test_pruning_deletes_users_first_and_only_kinds_that_the_file_names() -> None:
    live: Live = {("upstreams", "old"): {}, ("routes", "old"): {}, ("services", "kept"): {}}
    objects = (("upstreams", "u", {}), ("routes", "1", {}))
    assert told(*objects, live=live, prune=True) == [
        *("created upstreams/u", "created routes/1", "deleted routes/old", "deleted upstreams/old")
    ]
    assert "deleted" not in str(told(*objects, live=live))


def test_a_vpc_that_swaps_endpoints_is_widened_before_its_upstreams_and_narrowed_after() -> None:
    old = {"vni": 1, "endpoints": {"a": {"unique_ip": "u"}}}
    new = {"vni": 1, "endpoints": {"b": {}}}
    upstream = ("upstreams", "u", {"nodes": {}})
    steps = plan(manifest(("vpcs", "v", new), upstream), {("vpcs", "v"): old})
    assert [step.action for step in steps] == [Action.WIDEN, Action.CREATE, Action.CONFIGURE]
    assert set(steps[0].wanted.doc["endpoints"]) == {"a", "b"} and steps[2].wanted.doc == new
    only_more = {"vni": 1, "endpoints": {"a": {}, "b": {}}}
    assert told(("vpcs", "v", only_more), live={("vpcs", "v"): old}) == ["configured vpcs/v"]


def test_a_diff_shows_what_changes_and_nothing_that_the_server_added() -> None:
    live: Live = {
        ("routes", "1"): {"uri": "/old", "id": "1", "create_time": 1, "update_time": 1},
        ("routes", "2"): {"uri": "/same", "id": "2", "create_time": 1, "update_time": 1},
        ("routes", "3"): {"uri": "/gone"},
    }
    wanted = manifest(
        ("routes", "1", {"uri": "/new"}), ("routes", "2", {"uri": "/same"}), ("routes", "4", {"uri": "/"})
    )
    texts = list(differences(plan(wanted, live, prune=True), live))
    assert texts == [
        "--- server/routes/1\n+++ file/routes/1\n@@ -1 +1 @@\n-uri: /old\n+uri: /new\n",
        "--- server/routes/4\n+++ file/routes/4\n@@ -0,0 +1 @@\n+uri: /\n",
        "--- server/routes/3\n+++ file/routes/3\n@@ -1 +0,0 @@\n-uri: /gone\n",
    ]
