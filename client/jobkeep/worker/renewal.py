"""A fresh interpreter in place of this one, in the same process: for a run whose code has changed on disk."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, NoReturn

import msgspec
from msgspec import Struct

from jobkeep.protocol.worker import RunOrder
from jobkeep.worker.outbox import Unsaid

_VARIABLE: Final = "JOBKEEP_HANDOVER"  # a file descriptor
_encode = msgspec.json.Encoder().encode


class Handover(Struct, kw_only=True):
    """What the next interpreter has to know. `order` has been received and nothing of it has been executed."""

    order: RunOrder
    unsaid: Unsaid  # all of earlier runs
    retire: bool = False  # the process is to end after that run
    spooled: list[str] = []  # files of this process


_decode = msgspec.json.Decoder(Handover).decode


class Origin:
    """How this process was started, noted before any job could change it."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self.handover = _received(environ)
        self._environment = dict(environ)
        self._directory = os.getcwd()
        self._ignored = _ignored()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def begin_again(self, handover: Handover) -> NoReturn:
        """Become a fresh interpreter, which executes the order. All connections close. Raises OSError."""
        descriptor = os.memfd_create("jobkeep-handover", 0)  # not closed by exec
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(_encode(handover))
            os.chdir(self._directory)
            with suppress(BaseException):  # whatever modules of jobs do at the end of their interpreter
                atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            for number in _ignored() - self._ignored:
                signal.signal(number, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            arguments = [sys.executable, *sys.orig_argv[1:]]
            os.execve(sys.executable, arguments, {**self._environment, _VARIABLE: str(descriptor)})  # noqa: S606 - ourselves
        finally:
            os.close(descriptor)


def _received(environ: MutableMapping[str, str]) -> Handover | None:
    number = environ.pop(_VARIABLE, None)
    if number is None:
        return None
    with open(int(number), "rb") as file:
        file.seek(0)
        return _decode(file.read())


def _ignored() -> set[signal.Signals]:
    return {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
