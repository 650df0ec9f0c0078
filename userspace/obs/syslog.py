"""Syslog: a datagram per line to a server (RFC 3164), by UDP or a unix socket."""

import socket
import time
from dataclasses import dataclass
from typing import Final, Self

PREFIX: Final = "syslog:"
_FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_SEVERITIES: Final = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
_PORT: Final = 514
MAX_BYTES: Final = 8192  # of a line; the rest is cut off: datagrams end somewhere


@dataclass(frozen=True, slots=True)
class Syslog:
    """`syslog:server=HOST[:PORT]|unix:PATH[,facility=local7][,severity=info][,tag=unilb]`, nginx's words."""

    address: tuple[str, int] | str
    priority: int
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the setting. Raises ValueError, which names the part."""
        given = {"facility": "local7", "severity": "info", "tag": "unilb"}
        for part in text.removeprefix(PREFIX).split(","):
            name, equals, value = part.partition("=")
            if not equals or name not in ("server", *given):
                raise ValueError(f'"{part}" is none of server=, facility=, severity=, tag=')
            given[name] = value
        if not given.get("server"):
            raise ValueError("server= is missing")
        if given["facility"] not in _FACILITIES:
            raise ValueError(f'facility "{given["facility"]}" is none of {", ".join(_FACILITIES)}')
        if given["severity"] not in _SEVERITIES:
            raise ValueError(f'severity "{given["severity"]}" is none of {", ".join(_SEVERITIES)}')
        priority = _FACILITIES.index(given["facility"]) * 8 + _SEVERITIES.index(given["severity"])
        return cls(_address(given["server"]), priority, given["tag"])

    def open(self) -> socket.socket:
        """Return a socket to `send` by. Raises OSError when nobody can be there."""
        if isinstance(self.address, str):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.connect(self.address)
            return made
        family, kind, protocol, _, place = socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind, protocol)
        made.connect(place)
        return made

    def send(self, by: socket.socket, lines: bytes) -> int:
        """Send each of `lines`, which end in line feeds; return how many were refused. Waits for no one."""
        stamp = time.strftime("%b %e %H:%M:%S")
        head = f"<{self.priority}>{stamp} {socket.gethostname()} {self.tag}: ".encode()
        refused = 0
        for line in lines.splitlines():
            try:
                by.send((head + line)[:MAX_BYTES], socket.MSG_DONTWAIT)
            except OSError:
                refused += 1
        return refused


def _address(server: str) -> tuple[str, int] | str:
    if server.startswith("unix:"):
        return server.removeprefix("unix:")
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, str(_PORT)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f'server "{server}" has no valid port')
    return host.strip("[]"), int(port)
