"""Counts for tests of what asks them: questions are kept, and answered by what a test says."""

from collections.abc import Callable
from typing import Any

from userspace.plugins.counting import Answer, Script, Servers
from userspace.plugins.outcome import Asked, Outcome


class Counts:
    """`asked` are the questions so far: (script, key, arguments). Each is answered with the next of `answers` when a
    test says `answer`; None when there are no more."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Script, str, tuple[str, ...]]] = []
        self._waiting: list[Callable[[Answer], None]] = []

    def ask(
        self, servers: Servers, script: Script, key: str, arguments: tuple[str, ...], answered: Callable[[Answer], None]
    ) -> None:
        self.asked.append((script, key, arguments))
        self._waiting.append(answered)

    def answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for answered in waiting:
            answered(self.answers.pop(0) if self.answers else None)

    def decide(self, outcome: Outcome) -> Outcome:
        """What is decided in the end."""
        while isinstance(outcome, Asked):
            answers: list[Any] = []
            outcome.begin(answers.append)
            self.answer()
            outcome = outcome.then(answers[0])
        return outcome
