import socket

import pytest

from userspace.config.settings import Settings
from userspace.proxy.worker_options import arguments_of, port_of, within


def test_sockets_are_inherited_by_number() -> None:
    given = arguments_of(["--wire-fd", "3", "--listen-fd", "4", "--listen-fd", "5", "--splice-fd", "6"])
    assert (given.wire_fd, given.listen_fd, given.listen_tls_fd, given.splice_fd) == (3, [4, 5], [], 6)
    assert arguments_of(["--wire-fd", "3"]).splice_fd is None


def test_redirects_to_https_lead_to_the_first_listener_for_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        assert port_of([first.fileno(), second.fileno()]) == first.getsockname()[1]
        assert first.getsockname()[1] != 0  # it is open still
    assert port_of([]) is None


def test_max_connections_stays_within_the_descriptors(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(max_connections=1000)
    assert within(128 + 2000, settings) is settings and capsys.readouterr().err == ""
    assert within(128 + 1998, settings).max_connections == 999
    assert "max_connections lowered to 999: only 2126 descriptors" in capsys.readouterr().err
    assert within(64, settings).max_connections == 1
