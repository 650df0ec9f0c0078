import pytest

from userspace.proxy.replies import ROUTE_NOT_FOUND, reply


def test_the_404_is_that_of_apisix() -> None:
    head, _, body = reply(404, ROUTE_NOT_FOUND, True).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 404 Not Found"
    assert body == b'{"error_msg":"404 Route Not Found"}\n'
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"Connection" not in head


@pytest.mark.parametrize("status", [400, 408, 413, 431, 502, 503, 504, 599])
def test_a_reply_to_head_has_the_length_but_not_the_body(status: int) -> None:
    whole, head = reply(status, 'say "no"', False), reply(status, 'say "no"', False, True)
    assert whole.startswith(head) and head.endswith(b"\r\nConnection: close\r\n\r\n")
    assert whole[len(head) :] == b'{"error_msg":"say \\"no\\""}\n'
