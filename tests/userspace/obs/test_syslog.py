import socket
from pathlib import Path

import pytest

from userspace.obs.access_log import AccessLog
from userspace.obs.syslog import MAX_BYTES, Syslog


@pytest.mark.parametrize(
    ("text", "syslog"),
    [
        ("syslog:server=127.0.0.1", Syslog(("127.0.0.1", 514), 190, "unilb")),
        ("syslog:server=[::1]:5140,facility=user,severity=debug,tag=x", Syslog(("::1", 5140), 15, "x")),
        ("syslog:server=unix:/dev/log", Syslog("/dev/log", 190, "unilb")),
    ],
)
def test_the_setting_is_read(text: str, syslog: Syslog) -> None:
    assert Syslog.parse(text) == syslog


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("syslog:", "is none of server="),
        ("syslog:tag=x", "server= is missing"),
        ("syslog:server=a:0", "no valid port"),
        ("syslog:server=a,facility=none", 'facility "none" is none of kern'),
        ("syslog:server=a,severity=loud", 'severity "loud" is none of emerg'),
    ],
)
def test_what_makes_no_sense_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Syslog.parse(text)


def test_each_line_is_a_datagram_and_a_long_one_is_cut() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        syslog = Syslog(server.getsockname(), 190, "unilb")
        with syslog.open() as by:
            assert syslog.send(by, b"one\n" + b"x" * 10_000 + b"\n") == 0
        first, second = server.recv(65536), server.recv(65536)
    assert first.startswith(b"<190>") and first.endswith(b" unilb: one")
    assert len(second) == MAX_BYTES


def test_the_access_log_goes_there_and_what_nobody_takes_is_counted(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        log = AccessLog(f"syslog:server=unix:{tmp_path / 'log'}")
        log.start()
        log.write({"a": 1})
        log.flush()
        assert server.recv(4096).endswith(b' unilb: {"a":1}')
    log.write_line(b"two\n")
    log.close()
    assert (log.lines, log.dropped) == (2, 1)
