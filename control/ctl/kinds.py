"""The kinds of objects that `unilb ctl` knows, in the order in which they are written: what is referred to first."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`collection`: the word in paths, files and output; `name`: of one; `space`: path that the collection is below.

    `prefix`: of the keys in answers. `hidden`: fields that a GET never shows, so that nobody can compare them.
    `file_kind`: under which word it stands in a file, if that is another kind's.
    """

    collection: str
    name: str
    space: str = "/apisix/admin"
    hidden: tuple[str, ...] = ()
    file_kind: str = ""

    @property
    def path(self) -> str:
        return f"{self.space}/{self.file_kind or self.collection}"

    @property
    def prefix(self) -> str:
        root = "/unilb" if self.space == "/unilb" else "/apisix"
        return f"{root}/{self.file_kind or self.collection}/"


KINDS = (
    Kind("secrets", "secret"),
    Kind("nodes", "node", "/unilb"),
    Kind("vips", "vip", "/unilb"),
    Kind("eips", "eip", "/unilb"),
    Kind("vpcs", "vpc", "/unilb"),
    Kind("protos", "proto"),
    Kind("ssls", "ssl", hidden=("key", "keys")),
    Kind("plugin_metadata", "plugin_metadata"),
    Kind("upstreams", "upstream", hidden=("tls.client_key",)),
    Kind("services", "service", hidden=("upstream.tls.client_key",)),
    Kind("plugin_configs", "plugin_config"),
    Kind("consumer_groups", "consumer_group"),
    Kind("consumers", "consumer"),
    # Ids are "CONSUMER/credentials/ID"; in a file they stand among the consumers, as in apisix.yaml.
    Kind("credentials", "credential", file_kind="consumers"),
    Kind("global_rules", "global_rule"),
    Kind("routes", "route", hidden=("upstream.tls.client_key",)),
    Kind("stream_routes", "stream_route", hidden=("upstream.tls.client_key",)),
)
RANK = {kind.collection: number for number, kind in enumerate(KINDS)}
BY_NAME = {kind.collection: kind for kind in KINDS} | {kind.name: kind for kind in KINDS}
CREDENTIALS = "/credentials/"


def kind_named(name: str) -> Kind:
    """The kind with this name, one or many. Raises ValueError."""
    if name not in BY_NAME:
        raise ValueError(f'unknown kind "{name}", known are {", ".join(sorted(RANK))}')
    return BY_NAME[name]
