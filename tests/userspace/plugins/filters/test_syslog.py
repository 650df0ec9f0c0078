import os

from tests.userspace.plugins.filters.loggers import jobs
from userspace.plugins.jobs import DatagramJob, StreamJob


def test_each_entry_is_a_message_of_rfc_5424() -> None:
    [job] = jobs("syslog", {"host": "h", "port": 5}, 2)
    assert isinstance(job, StreamJob) and (job.host, job.port, job.timeout) == ("h", 5, 3.0)
    assert not job.tls and not job.verify
    [secured] = jobs("syslog", {"host": "h", "port": 5, "tls": True, "ssl_verify": True})
    assert isinstance(secured, StreamJob) and secured.tls and secured.verify
    first, second, rest = job.data.split(b"\n")
    name = os.uname().nodename
    assert first == f'<46>1 1970-01-01T00:00:00.250Z {name} apisix {os.getpid()} - - {{"u":"/a"}}'.encode()
    assert second == first and rest == b""


def test_over_udp_when_asked() -> None:
    [job] = jobs("syslog", {"host": "h", "port": 5, "sock_type": "udp"})
    assert isinstance(job, DatagramJob)
