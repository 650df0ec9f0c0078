"""Consumers: who sends requests, found by what an authentication plugin read. Changed in place, between requests."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from control.model.consumer import Consumer
from control.model.credential import IDENTITIES, Credential
from control.model.plugins import is_disabled
from userspace.plugins.secret_references import has_reference, with_secrets


class Known(NamedTuple):
    """A consumer as a plugin found it: by `conf`, its own configuration of that plugin, or that of the credential
    called `credential`."""

    consumer: Consumer
    conf: Mapping[str, Any]
    credential: str | None


_Owner = tuple[str, str | None]  # username, id of its credential


class Consumers:
    """Look-ups cost one dict access, whatever the number of consumers."""

    __slots__ = ("_by_name", "_by_identity")

    def __init__(self) -> None:
        self._by_name: dict[str, Consumer] = {}
        # (plugin, what it knows somebody by) -> who, in the order they came; the Admin API lets only one have it.
        self._by_identity: dict[tuple[str, str], dict[_Owner, Mapping[str, Any]]] = {}

    def find(self, plugin: str, identity: str) -> Known | None:
        """The consumer that `plugin` knows by `identity` (its key, username, ...), or None."""
        for (username, credential), conf in self._by_identity.get((plugin, identity), {}).items():
            consumer = self._by_name.get(username)
            if consumer is not None:
                return Known(consumer, conf, credential)
        return None

    def named(self, username: str) -> Consumer | None:
        """The consumer of this name, or None: for `anonymous_consumer`."""
        return self._by_name.get(username)

    def set_consumer(self, username: str, old: Consumer | None, new: Consumer | None) -> None:
        """Put `new` in the place of `old`; None: it does not exist."""
        self._move((username, None), old.plugins if old else {}, new.plugins if new else {})
        if new is None:
            self._by_name.pop(username, None)
        else:
            self._by_name[username] = new

    def set_credential(self, old: Credential | None, new: Credential | None) -> None:
        """Put `new` in the place of `old`; None: it does not exist. Its consumer may come later or be gone."""
        one = new or old
        if one is not None:
            self._move((one.username, one.id), old.plugins if old else {}, new.plugins if new else {})

    def _move(self, owner: _Owner, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        for key, _ in _identities(old):
            owners = self._by_identity.get(key)
            if owners is not None and owners.pop(owner, None) is not None and not owners:
                del self._by_identity[key]
        for key, conf in _identities(new):
            self._by_identity.setdefault(key, {})[owner] = conf


def _identities(plugins: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for name, conf in plugins.items():
        field = IDENTITIES.get(name)
        if field is None or is_disabled(conf):
            continue
        conf = with_secrets(conf)
        # Nobody is let in by what a reference is called.
        if isinstance(conf.get(field), str) and not has_reference(conf):
            yield (name, conf[field]), conf
