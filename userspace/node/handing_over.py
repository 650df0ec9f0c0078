"""Hand-over: two sockets of a worker become a splice, or stay what they are.

Both are muted before they are read: what arrives from then on is dropped, repeated by its sender, and carried by the
splice. So nothing can be acknowledged by a socket that nobody reads, and nothing changes between reading and writing.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from userspace.node import splice_plan, tcp_leg, windows
from userspace.node.routes import Routes
from userspace.node.splice_abi import STICKY, Kind, Splice
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_guard import SpliceGuard
from userspace.node.splice_held import Held
from userspace.node.splice_plan import Asked
from userspace.node.splice_table import Session, SpliceTable
from userspace.node.splice_wire import SpliceRequest
from userspace.node.tcp_leg import Leg
from userspace.node.toa_peers import ToaPeers


class Refused(Exception):
    """No splice; the text is one word for metrics and the worker."""


class HandingOver:
    """underlay: index of the device whose programs carry splices."""

    def __init__(
        self,
        table: SpliceTable,
        guard: SpliceGuard,
        accounts: SpliceAccounts,
        routes: Routes,
        peers: ToaPeers,
        underlay: int,
        tell: Callable[[Splice, list[bytes]], None],
    ) -> None:
        """tell: sends packets to a splice's endpoint."""
        self._table = table
        self._guard = guard
        self._accounts = accounts
        self._routes = routes
        self._peers = peers
        self._underlay = underlay
        self._tell = tell

    def splice(self, worker: str, asked: SpliceRequest, client: socket.socket, endpoint: socket.socket) -> Held:
        """Return the splice; the sockets are its own then. Raises Refused, with both as they were."""
        # No configuration decides anything of bytes that nobody looks at, and no epoch brings them back.
        if asked.kind is Kind.GUARDED and asked.edition != self._guard.edition:
            raise Refused("epoch")
        slot = self._table.take()
        if slot is None:
            raise Refused("full")
        try:
            return self._muted(slot, worker, asked, client, endpoint)
        except BaseException as error:
            for sock in (endpoint, client):
                with suppress(OSError):
                    tcp_leg.unmute(sock)
                    tcp_leg.leave_repair(sock)
            if isinstance(error, OSError):
                raise Refused("error") from error
            raise

    def close(self) -> None:
        self._routes.close()
        self._peers.close()

    def restore_client(self, sock: socket.socket, address: tuple[str, int] | None) -> tuple[str, int]:
        """Have a rebuilt socket answer with its client's address as the one before did; return that address."""
        return self._peers.restore(sock, address)

    def _muted(
        self,
        slot: tuple[int, int],
        worker: str,
        asked: SpliceRequest,
        client: socket.socket,
        endpoint: socket.socket,
    ) -> Held:
        id, generation = slot
        written = False
        try:
            peer, address = self._peers.of(client)
            legs = self._read(client, endpoint, peer)
            session = self._admit(*legs, asked)
            log = asked.log
            account = self._accounts.of(asked.owner, log.vpc_id if log is not None else None)
            plan = Asked(asked.kind, asked.tail, self._guard.epoch_of(account), asked.guard, address)
            if log is not None:
                plan = replace(plan, logged=1 + STICKY.index(log.sticky), revision=log.revision)
            splice = splice_plan.splice(
                *legs, plan, generation, account, time.monotonic_ns(), session.tunnel if session else None
            )
            self._table.write(id, splice, session)
            written = True
            if not (tcp_leg.is_as_read(client, legs[0]) and tcp_leg.is_as_read(endpoint, legs[1])):
                self._table.undo(id, splice, session)
                raise Refused("busy")
        except BaseException:
            if not written:
                self._table.give_back(id)
            raise
        announced = windows.to_announce(*legs, plan)
        if announced:
            with suppress(OSError):  # it is a splice by now, whatever becomes of these packets
                self._tell(splice, windows.packets(splice, announced))
        return Held(
            id=id,
            generation=generation,
            kind=asked.kind,
            account=account,
            owner=asked.owner,
            worker=worker,
            note=asked.client,
            address=address,
            client=client,
            endpoint=endpoint,
            tail_end=splice.tail_end,
        )

    def _read(self, client: socket.socket, endpoint: socket.socket, peer: tuple[str, int]) -> tuple[Leg, Leg]:
        tcp_leg.leave_to_splice(endpoint)
        tcp_leg.mute(client, acks=True)
        tcp_leg.enter_repair(client)
        try:
            found = tcp_leg.read(client, peer)
        finally:
            tcp_leg.leave_repair(client)
        return found, tcp_leg.read(endpoint)

    def _admit(self, client: Leg, endpoint: Leg, asked: SpliceRequest) -> Session | None:
        """Return the session of an endpoint in a VPC. Raises Refused."""
        reason = splice_plan.refusal(client, endpoint, asked.tail)
        if reason is not None:
            raise Refused(reason)
        try:
            session = self._table.session_of(endpoint)
        except LookupError:
            raise Refused("session") from None
        towards = [client] if session is not None else [client, endpoint]
        if any(self._routes.device(leg.peer[0]) != self._underlay for leg in towards):
            raise Refused("route")
        return session


def is_tail_written(held: Held) -> bool:
    """Return whether the worker has written the whole tail into the client's socket."""
    if held.client is None:
        return True
    try:
        return tcp_leg.sent_up_to(held.client) == held.tail_end
    except OSError:
        return False
