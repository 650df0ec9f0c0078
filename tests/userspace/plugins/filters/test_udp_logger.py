from tests.userspace.plugins.filters.loggers import jobs
from userspace.plugins.jobs import Attempts, DatagramJob


def test_a_batch_is_one_datagram() -> None:
    [job] = jobs("udp-logger", {"host": "h", "port": 5}, 2)
    assert job == DatagramJob("h", 5, b'[{"u":"/a"},{"u":"/a"}]', 3.0, Attempts(0, 1))
    assert [job.data for job in jobs("udp-logger", {"host": "h", "port": 5, "batch_max_size": 1})] == [b'{"u":"/a"}']
