"""The order in which routes are found, by the names of APISIX's `apisix.router.http`."""

from typing import Any, Final

from userspace.routing.match import RoutingTable
from userspace.routing.uri_table import UriTable

WITH_PARAMETERS: Final = "radixtree_uri_with_parameter"
MODES: Final = ("radixtree_host_uri", "radixtree_uri", WITH_PARAMETERS)
"""The first is the default."""


def table_for(mode: str) -> RoutingTable[Any] | UriTable[Any]:
    """Return an empty table. Raises KeyError for a mode that is not one of MODES."""
    if mode == MODES[0]:
        return RoutingTable()
    return {"radixtree_uri": UriTable, WITH_PARAMETERS: lambda: UriTable(with_parameters=True)}[mode]()
