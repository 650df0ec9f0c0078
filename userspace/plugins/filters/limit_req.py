"""limit-req: so many requests per second, by a leaky bucket: what is early waits, what is far too early is refused."""

from collections.abc import Mapping
from typing import Any

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Key, refusal, scope, unserved_policy
from userspace.plugins.outcome import Outcome, Wait
from userspace.tally import Numbers

LEAST_WAIT = 0.001  # seconds


class LimitReq(Filter):
    NAME = "limit-req"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._scope = f"limit-req:{scope(conf)}"
        self._key = Key(conf["key"], conf["key_type"])
        self._rate: float = conf["rate"]
        self._burst: float = conf["burst"]
        self._refusal = refusal(conf)

    @classmethod
    def unserved(cls, conf: Mapping[str, Any]) -> str | None:
        return unserved_policy(conf)

    def access(self, request: Request) -> Outcome:
        now = self.env.clock()
        excess = self._excess(f"{self._scope}:{self._key.of(request)}", now)
        if excess > self._burst:
            return self._refusal
        delay = excess / self._rate
        return None if delay < LEAST_WAIT or self.conf["nodelay"] else Wait(delay)

    def _excess(self, key: str, now: float) -> float:
        """Count a request, unless it is refused; return how many are ahead of the rate, as resty.limit.req has it."""
        rate, burst = self._rate, self._burst
        found: list[float] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
            excess, last = 0.0, now
            if numbers is not None:
                excess = max(numbers[0] - rate * abs(now - numbers[1]) + 1, 0.0)
                if excess > burst:
                    found.append(excess)
                    return numbers, now + (numbers[0] + 1) / rate
            found.append(excess)
            # Once the bucket has run empty, nothing tells it from one that never was.
            return (excess, last, 0.0), now + (excess + 1) / rate

        self.env.tally.change(key, now, one_more)
        return found[0]
