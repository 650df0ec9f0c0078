from tests.userspace.plugins.filters.loggers import jobs
from userspace.plugins.jobs import Attempts, FileJob


def test_each_entry_is_a_line_at_once() -> None:
    assert jobs("file-logger", {"path": "/f"}, 2) == [FileJob("/f", b'{"u":"/a"}\n', Attempts(0, 1))] * 2


def test_the_path_may_come_from_the_metadata_and_without_one_nothing_is_written() -> None:
    [job] = jobs("file-logger", {}, metadata=lambda plugin: {"path": "/m"})
    assert isinstance(job, FileJob) and job.path == "/m"
    assert jobs("file-logger", {}) == []


def test_only_what_matches_one_of_the_expressions_is_written() -> None:
    conf = {"path": "/f", "match": [[["arg_a", "==", "1"]], [["arg_b", "==", "1"]]]}
    assert [len(jobs("file-logger", conf, target=target)) for target in ("/?a=1", "/?b=1", "/")] == [1, 1, 0]
