"""Which plugins gateways run: every Filter that a module of filters/ defines, by name."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from userspace.plugins import filters
from userspace.plugins.filter import Filter


def _defined_in(module: ModuleType) -> Iterator[type[Filter]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Filter) and value.__module__ == module.__name__:
            yield value


FILTERS: Final[Mapping[str, type[Filter]]] = MappingProxyType(
    {
        kind.NAME: kind
        for found in pkgutil.iter_modules(filters.__path__)
        for kind in _defined_in(importlib.import_module(f"{filters.__name__}.{found.name}"))
        if hasattr(kind, "NAME")
    }
)
