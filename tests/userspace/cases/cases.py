"""APISIX's public cases that ask a gateway something, and what the server of each must be started with."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.control.admin.apisix_cases import Case, read_cases

GROUPS: Final = ("router", "node", "control", "plugin", "config-center-yaml")
# The plugins that gateways serve: the files that are named after them are replayed.
PLUGINS: Final = (
    "redirect",
    "proxy-rewrite",
    "response-rewrite",
    "gzip",
    "brotli",
    "key-auth",
    "basic-auth",
    "jwt-auth",
    "consumer-restriction",
    "ip-restriction",
    "ua-restriction",
    "referer-restriction",
    "uri-blocker",
    "cors",
    "limit-req",
    "limit-conn",
    "limit-count",
    "traffic-split",
    "proxy-mirror",
    "fault-injection",
    "mocking",
    "request-id",
    "real-ip",
    "client-control",
    "csrf",
    "api-breaker",
    "prometheus",
    "http-logger",
    "file-logger",
    "echo",
)
# And those about plugins as such.
COMMON_PLUGIN_FILES: Final = frozenset({"consumer-bug-fix", "global-rule-phase-cache", "plugin", "security-warning"})
# What the cases assume of every server (research/apisix.md section 7.3) -> the worker's setting.
_DEFAULT_SETTINGS: Final = {"trusted_addresses": '["127.0.0.1"]'}
# Cases that want what those before them counted forgotten: APISIX's own test server starts anew for each case.
ANEW: Final = frozenset(
    f"t/{case}"
    for case in (
        "node/healthcheck-passive-resty-events.t 6",
        *("node/consumer-plugin.t 5", "node/consumer-plugin.t 6", "node/merge-route.t 6"),
        *("plugin/basic-auth-anonymous-consumer.t 4", "plugin/basic-auth-anonymous-consumer.t 5"),
        *(f"plugin/key-auth-anonymous-consumer.t {number}" for number in (5, 9, 10, 11)),
        "plugin/key-auth-upstream-domain-node.t 7",
        *("plugin/limit-count-rules.t 16", "plugin/limit-count-rules.t 17", "plugin/limit-req2.t 7"),
    )
)
# Files whose test server empties Redis for each case.
EMPTIED: Final = frozenset(("t/plugin/limit-count-redis.t", "t/plugin/limit-count-redis-cluster.t"))
# A path in APISIX's conf/config.yaml -> the worker's setting of the same meaning.
_SETTINGS: Final = {
    "apisix.router.http": "router",
    "apisix.disable_upstream_healthcheck": "disable_upstream_healthcheck",
    "apisix.delete_uri_tail_slash": "delete_uri_tail_slash",
    "apisix.normalize_uri_like_servlet": "normalize_uri_like_servlet",
    "apisix.match_uri_encoded_slash": "match_uri_encoded_slash",
    "apisix.show_upstream_status_in_response_header": "show_upstream_status_in_response_header",
    "apisix.trusted_addresses": "trusted_addresses",
    "plugin_attr.redirect.https_port": "https_port",
    "plugin_attr.prometheus.metrics.http_status.expire": "expire_http_status",
    "plugin_attr.prometheus.metrics.http_latency.expire": "expire_http_latency",
    "plugin_attr.prometheus.metrics.bandwidth.expire": "expire_bandwidth",
    "graphql.max_size": "max_inspected_body_bytes",
}
# What the records of a file leave out of its servers' configuration (nginx's own, in `http_config`).
_LEFT_OUT: Final = {"t/plugin/ip-restriction.t": {"real_ip_header": "X-Forwarded-For"}}
_DEFAULT_ROUTER: Final = "radixtree_host_uri"


@dataclass(frozen=True)
class Profile:
    """How `unilb run` is started: its options, and the file in place of store and Admin API, if there is one."""

    options: tuple[str, ...]
    file: str | None = None


@dataclass(frozen=True)
class Unit:
    """All cases of one of APISIX's test files, in their order: later ones build on earlier ones."""

    group: str
    file: str
    cases: tuple[Case, ...]

    @property
    def seconds(self) -> float:
        """What its cases sleep."""
        return sum(step.get("seconds", 0) for case in self.cases for step in case.get("steps", ()))

    @property
    def counts(self) -> bool:
        """True when its cases limit: they want nothing counted under the same route by those of another file."""
        return any('"limit-' in str(step.get("body")) for case in self.cases for step in case.get("steps", ()))

    @property
    def policies(self) -> frozenset[str]:
        """Those of Redis that its cases name."""
        bodies = " ".join(str(step.get("body")) for case in self.cases for step in case.get("steps", ()))
        return frozenset(re.findall(r'"policy":\s*"(redis(?:-\w+)?)"', bodies))

    def server(self, which: int) -> tuple[tuple[str, ...], bool]:
        """What the server of one of its cases is started with; a file is changed while it runs."""
        profile = profile_of(self.cases[which])
        return profile.options, profile.file is not None


def is_for_gateways(group: str, file: str) -> bool:
    """False for files about plugins that gateways do not serve."""
    if group != "plugin":
        return True
    name = file.removeprefix("t/plugin/").removesuffix(".t")
    return name in COMMON_PLUGIN_FILES or any(
        re.fullmatch(re.escape(plugin) + r"(\d*|-.*)", name) for plugin in PLUGINS
    )


def units(group: str, only: str = "") -> Iterator[Unit]:
    """The units of a group whose file name contains `only`."""
    files: dict[str, list[Case]] = {}
    for case in read_cases(f"{group}.jsonl"):
        if only in case["file"] and is_for_gateways(group, case["file"]):
            files.setdefault(case["file"], []).append(case)
    for file, cases in files.items():
        yield Unit(group, file, tuple(cases))


def profile_of(case: Case) -> Profile:
    """The server that a case wants."""
    server = case.get("server") or {}
    config = yaml.safe_load(server.get("yaml_config") or server.get("extra_yaml_config") or "") or {}
    # A configuration of its own takes the place of what the others share.
    settings = {**({} if server.get("yaml_config") else _DEFAULT_SETTINGS), **_LEFT_OUT.get(case["file"], {})}
    for path, setting in _SETTINGS.items():
        value = _at(config, path)
        if value is not None and value is not False and value != _DEFAULT_ROUTER:
            settings[setting] = _text(value)
    labels = list(_extra_labels(_at(config, "plugin_attr.prometheus.metrics")))
    if labels:
        settings["extra_labels"] = json.dumps(labels)
    options = [option for item in sorted(settings.items()) for option in ("--set", "=".join(item))]
    encryption = _at(config, "apisix.data_encryption") or {}
    if encryption.get("enable_encrypt_fields") is False:
        options += ["--keyring", ""]
    elif "keyring" in encryption:
        keyring = encryption["keyring"] or []
        options += ["--keyring", ",".join([keyring] if isinstance(keyring, str) else keyring)]
    return Profile(tuple(options), server.get("apisix_yaml"))


def _extra_labels(metrics: Any) -> Iterator[str]:
    """The labels that APISIX's configuration adds to metrics, as our setting has them."""
    for metric, conf in (metrics or {}).items():
        for label in conf.get("extra_labels", ()):
            yield from (f"{metric}.{name}={variable}" for name, variable in label.items())


def _at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def _text(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)
