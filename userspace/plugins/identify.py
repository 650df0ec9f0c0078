"""What authentication plugins share: who a request is from, once it is known, and the answer when it is not."""

from userspace.http.request import Request
from userspace.plugins.consumers import Consumers, Known
from userspace.plugins.outcome import Outcome, Reply


def attach(request: Request, known: Known) -> None:
    """Note the consumer, and tell endpoints of it; what a client sent under these names is gone."""
    consumer = known.consumer
    request.consumer = consumer
    request.consumer_name = consumer.username
    for name, value in (
        (b"X-Consumer-Username", consumer.username),
        (b"X-Credential-Identifier", known.credential),
        (b"X-Consumer-Custom-ID", consumer.labels.get("custom_id")),
    ):
        if value is None:
            request.remove_header(name)
        else:
            request.set_header(name, value.encode())


def attach_anonymous(request: Request, consumers: Consumers, username: str | None, refusal: Reply) -> Outcome:
    """Let a request without credentials pass as the `anonymous_consumer` of the configuration, or refuse it."""
    if username is None:
        return refusal
    consumer = consumers.named(username)
    if consumer is None:
        return Reply.json(401, {"message": "Invalid user authorization"}, *refusal.headers[1:])
    attach(request, Known(consumer, {}, None))
    return None
