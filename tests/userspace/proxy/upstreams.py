"""Scripts of endpoints."""

from tests.userspace.proxy.stage import Speaker


async def echo_head(speaker: Speaker) -> None:
    """Answers every request with its head."""
    while True:
        head, _ = await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
