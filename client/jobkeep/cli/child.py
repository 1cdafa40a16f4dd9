"""A command as our own child: forked first, while there are no threads, begun later, and ended for sure."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
import time

from jobkeep.cli.failures import FAILED, NO_COMMAND, NO_EXEC, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PASSED_ON = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_AWAITED = {*PASSED_ON, signal.SIGCHLD}
GRACE = 3.0  # seconds between TERM and KILL: somebody else may be waiting for the end
_NEVER_BEGUN = 125
_PDEATHSIG, _SUBREAPER = 1, 36  # of prctl


class Child:
    """It shares our terminal, our process group and our standard streams. If we are killed, so is it (Linux)."""

    def __init__(self, command: list[str]) -> None:
        self._name = command[0]
        self._prctl = _prctl()
        if self._prctl is not None:
            self._prctl(_SUBREAPER, 1)  # what it leaves behind becomes ours, and can be found
        gate, self._gate = os.pipe()
        self._failed, failed = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(command, gate, failed)
        os.close(gate)
        os.close(failed)
        self._pidfd = os.pidfd_open(self.pid)
        self._begun = False
        self._gone = threading.Event()
        self.was_ended = False  # by us

    def begin(self, **variables: str) -> None:
        """Let it go, with these variables in its environment; from here on signals wait until they are passed on.
        Raises Failure for what cannot be executed.
        """
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        try:
            self._open_gate(variables)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)
            raise

    def _open_gate(self, variables: dict[str, str]) -> None:
        try:
            os.write(self._gate, "\0".join(f"{name}={value}" for name, value in variables.items()).encode())
        except BrokenPipeError:
            raise Failure("the command was killed before it had begun", FAILED) from None
        self._begun = True
        os.close(self._gate)
        told = os.read(self._failed, 16)
        os.close(self._failed)
        if told:
            raise _of_exec(int(told), self._name)

    def forget(self) -> None:
        """If it was not begun it never will be."""
        if not self._begun:
            os.close(self._gate)
            os.waitpid(self.pid, 0)

    def attend(self) -> int:
        """Until its end, passing signals on; -> its exit status, 128+N for signal N. Once `end` is called, until all of
        it is gone.

        What the kernel sends, as it does for Ctrl-C, has reached the whole process group already.
        """
        try:
            code = self._attend()
            if self.was_ended:
                self._gone.wait()
            return code
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _attend(self) -> int:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            heard = signal.sigwaitinfo(_AWAITED)
            if heard.si_signo != signal.SIGCHLD and heard.si_code <= 0:
                self._send(heard.si_signo)

    def end(self, grace: float = GRACE) -> None:
        """TERM, then KILL for all that is left of it. Another thread attends."""
        self.was_ended = True
        try:
            self._end(grace)
        finally:
            self._gone.set()

    def _end(self, grace: float) -> None:
        self._send(signal.SIGTERM)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(grace * 1000)
        self._send(signal.SIGKILL)
        deadline = time.monotonic() + grace
        while (left := _children()) and time.monotonic() < deadline:
            for pid in left:
                _kill(pid)
            time.sleep(0.01)  # an orphan becomes our child, and so is found with the next look

    def _send(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def _become(self, command: list[str], gate: int, failed: int) -> None:
        """In the child."""
        code = _NEVER_BEGUN
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if self._prctl is not None:
                self._prctl(_PDEATHSIG, signal.SIGKILL)
            os.close(self._gate)  # at its last closing `gate` ends: nobody is there who would open it
            given = os.read(gate, 65536)
            if given:
                for name in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                    signal.signal(name, signal.SIG_DFL)
                os.environ.update(dict(pair.split("=", 1) for pair in given.decode().split("\0")))
                os.execvp(command[0], command)  # noqa: S606 - without a shell on purpose
        except OSError as error:
            os.write(failed, str(error.errno).encode())
        except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as if it were us
            os.write(failed, str(errno.EINVAL).encode())
        finally:
            os._exit(code)


def _prctl() -> Callable[[int, int], int] | None:
    """The system call, where there is one."""
    try:
        import ctypes

        found: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return found


def _of_exec(number: int, name: str) -> Failure:
    """As shells have it."""
    if number == errno.ENOENT:
        return Failure(f"command not found: {name}", NO_COMMAND)
    return Failure(f"{name} cannot be executed: {os.strerror(number)}", NO_EXEC)


def _children() -> list[int]:
    """All living descendants of ours, the nearest last."""
    found: list[int] = []
    parents = [os.getpid()]
    while parents:
        parents = [pid for parent in parents for pid in _children_of(parent)]
        found = [*parents, *found]
    return found


def _children_of(pid: int) -> list[int]:
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass
    return [child for child in found if _lives(child)]


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _kill(pid: int) -> None:
    """SIGKILL for a process that is our descendant while we hold on to it."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if pid in _children():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        pass  # it is gone, or has become somebody else's
    finally:
        os.close(pidfd)
