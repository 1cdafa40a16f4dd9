"""Signals of the two daemonic processes: none of them ends one by accident, and a leader inherits only defaults."""

from __future__ import annotations

import os
import signal

_CAUGHT = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ,
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip


def catch_signals() -> None:
    """Catch with a handler that does nothing what others ignore: exec resets a handler to the default, an ignored
    signal stays ignored in every leader. For the same reason undo what we inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in _CAUGHT:
        signal.signal(number, _nothing)


def _nothing(*_: object) -> None:
    """The wake-up descriptor says it all."""


def descriptor() -> int:
    """Becomes readable on every caught signal, SIGCHLD above all. To be made anew after a fork."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if previous != -1:
        os.close(previous)
    return reader
