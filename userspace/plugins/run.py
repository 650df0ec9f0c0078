"""The phases of one request: which filters run, in which order, and what they decide."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from control.model.consumer import Consumer
from userspace.http.body_variables import BodyWanted
from userspace.http.request import Request
from userspace.plugins.chain import Chain, Step
from userspace.plugins.outcome import Asked, Outcome, Reply, Wait
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary
from userspace.routing.expr import Condition

Decision = Generator[Wait | Asked, Any, Reply | None]
"""Yields each time a filter has to wait, and is sent what was asked for; its value is the answer, or None to go on."""

ForConsumer = Callable[[Consumer], Chain | Reply]
"""The route's chain with the consumer's plugins; or the answer when a part of it is missing."""


def holds(condition: Condition, request: Request) -> bool:
    """Whether it does. Where it depends on a body that nobody has read (a consumer's plugin may), it does not."""
    try:
        return condition(request)
    except BodyWanted:
        return False


class Run:
    """The filters of one exchange: those of the global rules, then those of its route and consumer.

    `chain` is the route's, merged with the consumer's once that is known.
    """

    __slots__ = ("_for_consumer", "_rules", "chain", "request")

    def __init__(self, request: Request, rules: Chain, chain: Chain, for_consumer: ForConsumer) -> None:
        self.request = request
        self._rules = rules
        self.chain = chain
        self._for_consumer = for_consumer

    def decide(self, has_route: bool) -> Decision:
        """The rewrite and access phases. Without a route only the global rules run."""
        reply = yield from self._phase(self._of_rules(self._rules.rewrite), "rewrite")
        if reply is None and has_route:
            reply = yield from self._rewrite()
        if reply is None:
            reply = yield from self._phase(self._of_rules(self._rules.access), "access")
        if reply is None and has_route:
            reply = yield from self._phase(self.chain.access, "access")
        return reply

    def _rewrite(self) -> Decision:
        reply = yield from self._phase(self.chain.rewrite, "rewrite")
        consumer = self.request.consumer
        if reply is not None or consumer is None:
            return reply
        merged = self._for_consumer(consumer)
        if isinstance(merged, Reply):
            return merged
        if merged is self.chain:
            return None
        # Plugins that the route lacks had no turn yet; of those that it has, the route's had theirs, as in APISIX.
        before = self.chain.names
        self.chain = merged
        new = tuple(step for step in merged.rewrite if step.name not in before)
        return (yield from self._phase(new, "rewrite"))

    def _of_rules(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Those of some steps of global rules that do not leave it to the route."""
        if not self._rules.yields:
            return steps
        return tuple(step for step in steps if not step.yields or step.name not in self.chain.names)

    def _phase(self, steps: tuple[Step, ...], phase: str) -> Decision:
        request = self.request
        for step in steps:
            if step.condition is not None and not holds(step.condition, request):
                continue
            outcome: Outcome = getattr(step.filter, phase)(request)
            while outcome is not None and type(outcome) is not Reply:
                if type(outcome) is Wait:
                    yield outcome
                    outcome = outcome.reply
                else:
                    assert type(outcome) is Asked
                    outcome = outcome.then((yield outcome))
            if outcome is None:
                continue
            if step.answer is not None and outcome.status >= 400:
                body, kind = step.answer
                kept = tuple(pair for pair in outcome.headers if pair[0].lower() != b"content-type")
                outcome = replace(outcome, body=body, headers=(kind, *kept))
            return outcome
        return None

    def before_proxy(self) -> None:
        for step in (*self._of_rules(self._rules.before_proxy), *self.chain.before_proxy):
            if step.condition is None or holds(step.condition, self.request):
                step.filter.before_proxy(self.request)

    @property
    def changes_answers(self) -> bool:
        """True when some filter looks at answers."""
        return bool(self._rules.header_filter or self.chain.header_filter)

    def header_filter(self, response: Response) -> None:
        """Let the filters change an answer."""
        self.request.response = response
        for step in (*self._of_rules(self._rules.header_filter), *self.chain.header_filter):
            if step.condition is None or holds(step.condition, self.request):
                step.filter.header_filter(self.request, response)

    @property
    def keeps_body(self) -> int:
        """So many bytes of the request's body are wanted in the log phase."""
        return max(self._rules.keeps_body, self.chain.keeps_body)

    @property
    def logs(self) -> bool:
        """True when some filter wants to know what became of the exchange."""
        return bool(self._rules.log or self.chain.log)

    def log(self, summary: Summary) -> None:
        """Tell the filters what became of the exchange."""
        self.request.summary = summary
        for step in (*self._of_rules(self._rules.log), *self.chain.log):
            if step.condition is None or holds(step.condition, self.request):
                step.filter.log(self.request, summary)
