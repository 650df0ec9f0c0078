"""Which index of the map `accounts` counts which VIP's port and which VPC. Sessions carry it, so it outlives a node."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from userspace.node import abi
from userspace.node.maps import Table


@dataclass(frozen=True, slots=True)
class Account:
    """What a VIP's port or a VPC has carried: packets and bytes forward and in reply, and sessions opened."""

    packets: tuple[int, int]
    bytes: tuple[int, int]
    sessions: int


def read(accounts: Table, index: int) -> Account:
    """Return one account, summed over the CPUs."""
    shares = [abi.Account.from_buffer_copy(raw) for raw in accounts.shares(index)]
    return Account(
        packets=(sum(s.packets[0] for s in shares), sum(s.packets[1] for s in shares)),
        bytes=(sum(s.bytes[0] for s in shares), sum(s.bytes[1] for s in shares)),
        sessions=sum(s.sessions for s in shares),
    )


def held(tables: Mapping[str, Table]) -> Iterator[tuple[bytes | int, int]]:
    """Yield (owner, index): a service by its key, a VPC by its VNI."""
    for key, value in tables["services"].items() if "services" in tables else ():
        yield key, abi.Service.from_buffer_copy(value).account
    for name in ("endpoints", "hosts"):
        for _, value in tables[name].items() if name in tables else ():
            endpoint = abi.Endpoint.from_buffer_copy(value)
            yield endpoint.vni, endpoint.account


@dataclass(slots=True)
class Accounts:
    """Gives out indices from 1; one that is given out anew counts from 0."""

    tables: Mapping[str, Table]
    _index: dict[bytes | int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = {owner: index for owner, index in held(self.tables) if index}

    def of(self, services: Set[bytes], vnis: Set[int]) -> dict[bytes | int, int]:
        """Return the index of every service and VNI of a plan that fits the map."""
        wanted: set[bytes | int] = {*services, *vnis}
        self._index = {owner: index for owner, index in self._index.items() if owner in wanted}
        taken = set(self._index.values())
        free = (i for i in range(1, self.tables["accounts"].shape.max_entries) if i not in taken)
        for owner in sorted(wanted - self._index.keys(), key=repr):
            self._index[owner] = index = next(free)
            self.tables["accounts"].put_shares(index, bytes(abi.Account()))
        return self._index
