"""Records of the ring as the kernel writes them."""

from userspace.node import abi
from userspace.node.splice_abi import Kind, SplicedRequest, State

HEAD = b"GET /a?x=1 HTTP/1.1\r\nHost: Shop.Example:80\r\nUser-Agent: t\r\n\r\n"
NSEC = 1_000_000_000


def record(number: int, head: bytes = HEAD, id: int = 3, generation: int = 41, **fields: object) -> bytes:
    """Return the record that ends request `number` and begins the next with `head`; without one, the splice ends."""
    made = SplicedRequest(
        id=id,
        generation=generation,
        number=number,
        len=len(head),
        account=2,
        client=abi.addr("203.0.113.7"),
        server=abi.addr("10.0.0.10"),
        client_port=50000,
        server_port=80,
        revision=77,
        begun_ns=10 * NSEC,
        answered_ns=10 * NSEC + 2_500_000,
        up=len(HEAD),
        down=300,
        answer=300,
        first_us=1200,
        status=200,
        logged=1,
        kind=Kind.GUARDED,
        state=State.ACTIVE if head else State.CLOSED,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return bytes(made) + head
