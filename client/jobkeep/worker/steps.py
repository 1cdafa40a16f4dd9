"""Results of a run's steps, on their way to the daemon and back."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from jobkeep.protocol.worker import RunOrder, SaveStepParameters, StepResultParameters, StepResultReply
from jobkeep.sdk.port import StepContent
from jobkeep.worker.awaited import Query
from jobkeep.worker.messenger import Messenger


class WorkerSteps:
    """Implements StepPort for one run. `stored` belongs to the thread at the helm.

    `announce` makes those who wait look again; `raise_if_bad` raises what ends the run.
    """

    def __init__(
        self, order: RunOrder, messenger: Messenger, announce: Callable[[], None], raise_if_bad: Callable[[], None]
    ) -> None:
        self.durable = len(order.steps)
        self._order = order
        self._messenger = messenger
        self._announce = announce
        self._raise_if_bad = raise_if_bad

    def send(self, step: StepContent) -> None:
        """Send it. Raises what an earlier report was refused with, and RunLeaseLost."""
        self._raise_if_bad()
        order = self._order
        self._messenger.step(
            SaveStepParameters(
                run=order.run, fence=order.fence, ordinal=step.ordinal, name=step.name, result=step.result
            )
        )

    def is_durable(self, ordinal: int) -> bool:
        if ordinal < self.durable:
            return True
        self._raise_if_bad()
        return False

    def ask(self, ordinal: int) -> Callable[[], Raw | None]:
        answers: list[StepResultReply | Exception] = []

        def answer(reply: StepResultReply | Exception) -> None:
            answers.append(reply)
            self._announce()

        def fetched() -> Raw | None:
            if not answers:
                self._raise_if_bad()
                return None
            if isinstance(answers[0], Exception):
                raise answers[0]
            return answers[0].result

        order = self._order
        self._messenger.ask(
            Query("StepResult", StepResultParameters(order.run, order.fence, ordinal), order.run, answer)
        )
        return fetched

    def stored(self, ordinal: int) -> None:
        """The steps up to that one are durable."""
        self.durable = max(self.durable, ordinal + 1)
