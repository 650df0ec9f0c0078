"""Dependents: which routes take something from which service or plugin config."""

from collections.abc import Iterable, Iterator

from control.model.route import Route

_Part = tuple[str, str]  # kind, id


class Dependents:
    """Ids of routes by what they are merged with. One changed route costs the same, however many there are."""

    __slots__ = ("_routes",)

    def __init__(self) -> None:
        self._routes: dict[_Part, set[str]] = {}

    def add(self, route: Route) -> None:
        """Note what `route`, as it stands in the snapshot, names."""
        for part in _parts(route):
            self._routes.setdefault(part, set()).add(route.id)

    def remove(self, route: Route) -> None:
        """Forget it again."""
        for part in _parts(route):
            routes = self._routes[part]
            routes.discard(route.id)
            if not routes:
                del self._routes[part]

    def of(self, kind: str, id: str) -> Iterable[str]:
        """The ids of the routes that name this "service" or "plugin_config"."""
        return self._routes.get((kind, id), ())

    def __len__(self) -> int:
        return len(self._routes)


def _parts(route: Route) -> Iterator[_Part]:
    if route.service_id is not None:
        yield "service", route.service_id
    if route.plugin_config_id is not None:
        yield "plugin_config", route.plugin_config_id
