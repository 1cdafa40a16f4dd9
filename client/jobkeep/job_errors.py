"""The base of all errors, and those that end a job's own code. `jobkeep.errors` has them all. Standard library only."""

from __future__ import annotations


class JobkeepError(Exception):
    """Base of all. `hint` says what to do about it, if anything can be done.

    `request_id` is set where nobody knows whether a submit was accepted: the same one with this id answers that, and
    never makes a second job.
    """

    hint: str | None = None
    request_id: str | None = None


class InputChanged(JobkeepError):
    """The source of a batch is not what it was at the checkpoint; the checkpoint is kept."""


class TooManyFailures(JobkeepError):
    """More items failed than max_failures allows; the checkpoint is kept."""

    def __init__(self, message: str, failed: int) -> None:
        super().__init__(message)
        self.failed = failed


class TooLarge(JobkeepError):
    """A value is over its limit (bytes); the message names it."""


class Permanent(JobkeepError):
    """Raised by a job, or of an error: trying again would not help, so that no retry follows. Resume is still possible.

    ``raise Permanent("the account is closed") from error``
    """


class StepsChanged(Permanent):
    """The code does not take the steps whose results are stored: number `step` was `expected`, and now came `found`."""

    def __init__(self, message: str, step: int, expected: str, found: str) -> None:
        super().__init__(message)
        self.step = step
        self.expected = expected
        self.found = found
