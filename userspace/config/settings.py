"""Settings: every limit and time of one worker that the operator can set, with its default and its bounds."""

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address, ip_network
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError
from typing import Any, Self

from control.model.splice import POLICIES
from userspace.config.extra_labels import read_extra_labels
from userspace.http.limits import DEFAULT_LIMITS, Limits
from userspace.net import split_host_port
from userspace.routing.modes import MODES

DAY = 86400.0
_FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
GIB = 1 << 30


class SettingsError(ValueError):
    """`str(error)` names the setting and what is wrong with it."""


def _number(default: Any, least: float, most: float) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, sizes in bytes, counts per worker."""

    max_connections: int = _number(20000, 1, 1_000_000)  # beyond it a new connection is answered 503 and closed
    max_connections_per_client: int = _number(0, 0, 1_000_000)  # per address, beyond it 503 likewise; 0 = any number
    max_requests_per_connection: int = _number(1000, 0, 1 << 31)  # then `Connection: close`; 0 = any number
    max_connections_per_endpoint: int = _number(4096, 1, 65535)  # beyond it another endpoint is tried, else 503
    max_idle_per_endpoint: int = _number(64, 0, 65535)  # beyond it a connection is closed after its response
    header_timeout: float = _number(10.0, 0.1, DAY)  # from a request's first byte to the end of its head, then 408
    idle_timeout: float = _number(60.0, 0.1, DAY)  # client connection between requests
    tls_handshake_timeout: float = _number(10.0, 0.1, DAY)  # from accept to the end of the handshake, then closed
    body_timeout: float = _number(60.0, 0.1, DAY)  # between two reads of a request body, then 408
    min_body_rate: int = _number(10, 0, GIB)  # bytes of it per second, over some body_timeout, else 408; 0 = any
    send_timeout: float = _number(60.0, 0.1, DAY)  # client takes no byte of a response, then reset
    drain_deadline: float = _number(30.0, 0, DAY)  # from SIGTERM until what is left is cut
    write_buffer_high: int = _number(65536, 1024, GIB)  # unsent bytes above which the other side is not read
    write_buffer_low: int = _number(16384, 0, GIB)  # and below which it is read again
    backlog: int = _number(4096, 1, 65535)  # connections that the kernel accepts before we do
    router: str = field(default=MODES[0], metadata={"one_of": MODES})  # in which order routes are found
    delete_uri_tail_slash: bool = False  # `/a/` is matched as `/a`
    normalize_uri_like_servlet: bool = False  # `/a;x/b` is matched as `/a/b`
    match_uri_encoded_slash: bool = False  # `/a%2Fb` is matched as it is, not as `/a/b`
    max_inspected_body_bytes: int = _number(1 << 20, 0, 1 << 30)  # longer ones have no post_arg_x and graphql_x
    max_request_body_bytes: int = _number(0, 0, 1 << 62)  # beyond it 413; 0 = any
    allow_connect: bool = False  # CONNECT goes to routes that list it; else 405
    https_port: int = _number(0, 0, 65535)  # where redirects to https lead; 0 = the first listener for TLS, else 443
    fallback_sni: str = ""  # the server name of clients that send none; "" = they are refused
    tls_ciphers: str = ""  # of TLS 1.2, by OpenSSL's names; "" = Mozilla's "intermediate"
    trusted_certificates: str = ""  # a file: who vouches for endpoints and log servers; "" = whom the system trusts
    zone: str = ""  # where this gateway stands; "" = what its node object says
    show_upstream_status_in_response_header: bool = False  # X-APISIX-Upstream-Status with every answer, not only 5xx
    access_log: str = "-"  # a path, "-" for standard output, "syslog:server=HOST:PORT", "off"
    access_log_spliced: bool = True  # so have requests that the kernel carries
    access_log_format: str = ""  # nginx's log_format; "apisix" for APISIX's; "" = an object of JSON
    expire_http_status: float = _number(0.0, 0, DAY)  # seconds after which a series that does not change is forgotten;
    expire_http_latency: float = _number(0.0, 0, DAY)  # those of plugin prometheus, by metric; 0 = never
    expire_bandwidth: float = _number(0.0, 0, DAY)
    extra_labels: tuple[str, ...] = ()  # on the metrics of plugin prometheus, METRIC.LABEL=$VARIABLE
    resolvers: tuple[str, ...] = ()  # name servers, ADDRESS or ADDRESS:PORT; () = those of /etc/resolv.conf
    disable_upstream_healthcheck: bool = False  # no endpoint is checked, whatever upstreams ask for
    dns_ttl: float = _number(0.0, 0, DAY)  # seconds that answers count; 0 = what they say themselves, 1 s to 1 h
    proxy_protocol_ports: tuple[int, ...] = ()  # listeners on which each connection begins with a PROXY header
    proxy_protocol_from: tuple[str, ...] = ()  # networks that may send one; others are closed there; () = nobody
    real_ip_from: tuple[str, ...] = ("127.0.0.1",)  # networks whose word about the client's address counts
    real_ip_header: str = "X-Real-IP"  # where they say it
    real_ip_recursive: bool = False  # in X-Forwarded-For, pass over addresses of theirs
    trusted_addresses: tuple[str, ...] = ()  # networks whose X-Forwarded-Proto, -Host and -Port are believed
    splice: str = field(default="opaque", metadata={"one_of": POLICIES})  # of routes that do not say
    splice_after: int = _number(2, 1, 1 << 31)  # `auto`: from which request of a connection on
    request_limits: Limits = DEFAULT_LIMITS
    response_limits: Limits = Limits(max_head_bytes=65536)

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, _checked(setting, getattr(self, setting.name)))
        if self.write_buffer_low > self.write_buffer_high:
            raise SettingsError("write_buffer_low must be at most write_buffer_high")

    @classmethod
    def from_json(cls, doc: object) -> Self:
        """Read an object of settings; what it leaves out takes its default. Raises SettingsError."""
        return cls(**_known(doc, cls, ""))

    def to_json(self) -> dict[str, object]:
        """The inverse of from_json, every setting written out."""
        return {setting.name: _plain(getattr(self, setting.name)) for setting in fields(self)}


def _checked(setting: "Field[Any]", value: Any) -> Any:
    name = setting.name
    if isinstance(setting.default, Limits):
        return value if isinstance(value, Limits) else _limits(value, name, setting.default)
    if name == "proxy_protocol_ports":
        return _ports(value, name)
    if name in ("trusted_addresses", "proxy_protocol_from", "real_ip_from"):
        return _networks(value, name)
    if name == "extra_labels":
        return _extra_labels(value, name)
    if name == "resolvers":
        return _servers(value, name)
    if name in ("zone", "fallback_sni", "tls_ciphers", "trusted_certificates"):
        if not isinstance(value, str):
            raise SettingsError(f"{name} must be a string")
        if name == "tls_ciphers":
            _check_ciphers(value)
        return value.lower().removesuffix(".") if name == "fallback_sni" else value
    if name == "access_log":
        if not isinstance(value, str) or not value:
            raise SettingsError(f'{name} must be a path, "-", "syslog:server=HOST:PORT" or "off"')
        return value
    if name == "access_log_format":
        if not isinstance(value, str) or any(character in value for character in "\r\n"):
            raise SettingsError(f"{name} must be one line of text")
        return value
    if name == "real_ip_header":
        if not isinstance(value, str) or _FIELD_NAME.fullmatch(value) is None:
            raise SettingsError(f"{name} must be the name of a header")
        return value
    if "one_of" in setting.metadata:
        if value not in setting.metadata["one_of"]:
            raise SettingsError(f"{name} must be one of {', '.join(setting.metadata['one_of'])}")
        return value
    if isinstance(setting.default, bool):
        if not isinstance(value, bool):
            raise SettingsError(f"{name} must be true or false")
        return value
    whole = isinstance(setting.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SettingsError(f"{name} must be {'an integer' if whole else 'a number'}")
    least, most = setting.metadata["least"], setting.metadata["most"]
    if not least <= value <= most:
        raise SettingsError(f"{name} must be between {least:g} and {most:g}")
    return value


def _check_ciphers(names: str) -> None:
    try:
        if names:
            SSLContext(PROTOCOL_TLS_SERVER).set_ciphers(names)
    except SSLError:
        raise SettingsError("tls_ciphers: OpenSSL knows none of them") from None


def _limits(doc: object, name: str, default: Limits) -> Limits:
    given = _known(doc, Limits, f"{name}.")
    for limit, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingsError(f"{name}.{limit} must be an integer")
    try:
        return Limits(**{**_plain(default), **given})
    except ValueError as error:
        raise SettingsError(f"{name}.{error}") from None


def _ports(value: object, name: str) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(item) is int and 0 < item < 65536 for item in value):
        raise SettingsError(f"{name} must be a list of ports")
    return tuple(value)


def _networks(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{name} must be a list of networks")
    for item in value:
        try:
            ip_network(item)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    return tuple(value)


def _extra_labels(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{name} must be a list of METRIC.LABEL=$VARIABLE")
    try:
        read_extra_labels(value)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None
    return tuple(value)


def _servers(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{name} must be a list of ADDRESS or ADDRESS:PORT")
    for item in value:
        try:
            ip_address(item if item.count(":") > 1 and "]" not in item else split_host_port(item, 53)[0])
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    return tuple(value)


def _known(doc: object, what: type[Any], prefix: str) -> Mapping[str, Any]:
    if not isinstance(doc, Mapping):
        raise SettingsError(f"{prefix.rstrip('.') or 'settings'} must be an object")
    names = {known.name for known in fields(what)}
    for name in doc:
        if name not in names:
            raise SettingsError(f"unknown setting {prefix}{name}")
    return doc


def _plain(value: Any) -> Any:
    if isinstance(value, Limits):
        return {limit.name: getattr(value, limit.name) for limit in fields(value)}
    return list(value) if isinstance(value, tuple) else value
