"""open_store: from a URL to a store."""

from urllib.parse import parse_qsl, unquote, urlsplit

from control.store.base import Store
from control.store.etcd import DEFAULT_PORT, EtcdStore
from control.store.etcd_gateway import EtcdSettings
from control.store.sqlite import SqliteStore

_OPTIONS = {"ca", "cert", "key", "server_name"}


def open_store(url: str) -> Store:
    """Open a store; nothing is contacted or created before the first call on it. Raises ValueError for a bad URL.

    `etcd://[user:password@]host[:port][,host[:port]...][?ca=FILE&cert=FILE&key=FILE&server_name=NAME]`; the scheme
    `etcds` asks for TLS with the system's authorities, `ca` for TLS with that one, `cert` and `key` for a client
    certificate. `sqlite:///absolute/path` or `sqlite:relative/path`.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        path = rest.removeprefix("//")
        if not path or "?" in path or (path != rest and not path.startswith("/")):
            raise ValueError("store URL: expected sqlite:///absolute/path or sqlite:relative/path")
        return SqliteStore(unquote(path))
    if scheme in ("etcd", "etcds"):
        return EtcdStore(etcd_settings(url))
    raise ValueError(f"store URL: unknown scheme {scheme!r}, expected etcd, etcds or sqlite")


def etcd_settings(url: str) -> EtcdSettings:
    """Read an etcd URL. Raises ValueError, without the password."""
    # By hand: urllib takes no list of hosts with IPv6 addresses in it.
    scheme, _, rest = url.partition("://")
    location, _, query = rest.partition("?")
    authority, _, path = location.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    options = dict(parse_qsl(query, strict_parsing=bool(query)))
    if options.keys() - _OPTIONS:
        raise ValueError(f"store URL: unknown options {sorted(options.keys() - _OPTIONS)}, known {sorted(_OPTIONS)}")
    if ("cert" in options) != ("key" in options):
        raise ValueError("store URL: cert and key go together")
    if path:
        raise ValueError("store URL: etcd takes no path")
    has_tls = scheme == "etcds" or bool(options)
    endpoints = tuple(f"{'https' if has_tls else 'http'}://{_host_port(host)}" for host in hosts.split(","))
    return EtcdSettings(
        endpoints=endpoints,
        user=unquote(user) or None,
        password=unquote(password),
        ca=options.get("ca"),
        cert=options.get("cert"),
        key=options.get("key"),
        server_name=options.get("server_name"),
    )


def _host_port(text: str) -> str:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("store URL: expected etcd://host:port[,host:port...]")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or DEFAULT_PORT}"
