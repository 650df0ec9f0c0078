"""limit-req: so many requests per second, by a leaky bucket: what is early waits, what is far too early is refused."""

from typing import Final

from userspace.http.request import Request
from userspace.plugins.count_scripts import BUCKET
from userspace.plugins.counting import Answer, bounded, servers_of
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Key, refusal, scope
from userspace.plugins.outcome import Answered, Asked, Outcome, Wait
from userspace.plugins.page import page
from userspace.tally import Numbers

LEAST_WAIT = 0.001  # seconds
_FAILED: Final = page(500)


class LimitReq(Filter):
    NAME = "limit-req"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._scope = f"limit-req:{scope(conf)}"
        self._key = Key(conf["key"], conf["key_type"])
        self._rate: float = conf["rate"]
        self._burst: float = conf["burst"]
        self._refusal = refusal(conf)
        self._servers = servers_of(conf)

    def access(self, request: Request) -> Outcome:
        key = f"{self._scope}:{self._key.of(request)}"
        if self._servers is not None:
            return Asked(lambda answered: self._ask(key, answered), self._answered)
        return self._decided(self._excess(key, self.env.clock()))

    def _ask(self, key: str, answered: Answered) -> None:
        counts = self.env.counts
        if counts is None or self._servers is None:
            answered(None)
            return
        counts.ask(self._servers, BUCKET, bounded(key), (f"{self._rate:.17g}", f"{self._burst:.17g}"), answered)

    def _answered(self, answer: Answer) -> Outcome:
        if answer is None:
            return None if self.conf["allow_degradation"] else _FAILED
        return self._decided(float(answer[1])) if answer[0] else self._refusal

    def _decided(self, excess: float) -> Outcome:
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
