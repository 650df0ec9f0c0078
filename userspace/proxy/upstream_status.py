"""X-APISIX-Upstream-Status: what endpoints answered, try by try, where clients may know."""

from typing import TYPE_CHECKING, Final

from userspace.http.events import Headers

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange

UPSTREAM_STATUS: Final = b"X-APISIX-Upstream-Status"


def upstream_statuses(exchange: "Exchange", answered: int | None = None) -> str | None:
    """As nginx has it in $upstream_status: what all tries ended with. None when no endpoint was asked."""
    return ", ".join(map(str, _statuses(exchange, answered))) or None


def upstream_status(exchange: "Exchange", answered: int | None = None) -> Headers:
    """Return the field, or none. `answered`: the status of the endpoint that answered in the end.

    A try that failed counts as the 502 or 504 that it would have become. Without the setting the field is there only
    when the last try's status is 5xx.
    """
    statuses = _statuses(exchange, answered)
    if not statuses or not (statuses[-1] >= 500 or exchange.shared.settings.show_upstream_status_in_response_header):
        return []
    return [(UPSTREAM_STATUS, b", ".join(b"%d" % status for status in statuses))]


def _statuses(exchange: "Exchange", answered: int | None) -> list[int]:
    forward = exchange.forward
    statuses = [one.status or 0 for one in forward.failed_tries] if forward is not None else []
    if answered is not None:
        statuses.append(answered)
    return statuses
