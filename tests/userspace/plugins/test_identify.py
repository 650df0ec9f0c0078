from control.model.consumer import Consumer
from tests.requests import request
from userspace.plugins.consumers import Consumers, Known
from userspace.plugins.identify import attach, attach_anonymous
from userspace.plugins.outcome import Reply

REFUSAL = Reply.json(401, {"message": "Missing API key in request"}, (b"WWW-Authenticate", b"apikey"))


def test_endpoints_are_told_of_the_consumer_and_never_what_the_client_said_of_it() -> None:
    one = request("GET", "/", "x-consumer-username: admin", "X-Credential-Identifier: fake", "X-Consumer-Custom-ID: 0")
    attach(one, Known(Consumer("jack", labels={"custom_id": "7"}), {}, None))
    assert one.header_values(b"x-consumer-username") == [b"jack"]
    assert one.header_values(b"x-credential-identifier") == []
    assert one.header_values(b"x-consumer-custom-id") == [b"7"]
    assert one.var("consumer_name") == "jack"


def test_without_an_anonymous_consumer_the_request_is_refused() -> None:
    assert attach_anonymous(request(), Consumers(), None, REFUSAL) is REFUSAL


def test_an_anonymous_consumer_lets_it_pass_if_it_exists() -> None:
    known = Consumers()
    reply = attach_anonymous(request(), known, "anonymous", REFUSAL)
    assert isinstance(reply, Reply) and reply.body == b'{"message":"Invalid user authorization"}\n'
    assert reply.headers == REFUSAL.headers
    known.set_consumer("anonymous", None, Consumer("anonymous"))
    one = request()
    assert attach_anonymous(one, known, "anonymous", REFUSAL) is None
    assert one.consumer_name == "anonymous"
