from tests.userspace.plugins.filters.loggers import jobs
from userspace.plugins.jobs import Attempts, StreamJob


def test_a_batch_is_a_list_and_a_single_entry_stands_alone() -> None:
    conf = {"host": "h", "port": 5, "timeout": 2000, "tls": True}
    assert jobs("tcp-logger", conf, 2) == [
        StreamJob("h", 5, True, b'[{"u":"/a"},{"u":"/a"}]', 2.0, Attempts(0, 1)),
    ]
    [named] = jobs("tcp-logger", {**conf, "tls_options": "log.example", "ssl_verify": True})
    assert isinstance(named, StreamJob) and (named.name, named.verify) == ("log.example", True)
    [alone] = jobs("tcp-logger", {**conf, "batch_max_size": 1})
    assert alone.data == b'{"u":"/a"}'
