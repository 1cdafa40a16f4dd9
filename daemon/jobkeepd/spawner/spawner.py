"""The process that forks slots. Run by path, with `python -I -S`: RUNTIME_DIR is its one argument.

Single-threaded and small, because each slot is a fork of it. It survives the daemon, and ends by itself when it has
no slot left and no daemon has called for a while. Slots that are killed fall to it: see orphans.py.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from _socket import AF_UNIX, SOCK_STREAM, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import cgroup, orphans, record, tree, wakeup
    from jobkeepd.spawner.channel import Channel
    from jobkeepd.spawner.zygote import Zygote
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import cgroup
    import orphans
    import record
    import tree
    import wakeup
    from channel import Channel
    from zygote import Zygote

LONELY_FOR = 10.0
_TRIES = 3  # to make a slot: somebody may kill what is to become it


class Spawner:
    """Its daemons (one, but a new one may come before the old one's end is seen), its shims, its orphans."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._boot_id = record.boot_id()
        self._lock = record.take_lock(record.spawner_lock(runtime))
        path = record.spawner_socket(runtime)
        if os.path.lexists(path):
            os.unlink(path)  # stale, since the lock is ours
        self._listener = _listen(path)
        self._retired = False
        self._daemons: dict[int, Channel] = {}
        self._zygote = Zygote(runtime, self._boot_id, self._let_go)
        self._shims: dict[int, str] = {}  # by the pid of the warden, or of a bereft shim
        self._bereft: set[int] = set()  # shims whose wardens were killed: they are about to die of it
        self._unmade: set[str] = set()  # slots that came to nothing, and may have left a control group
        self._ring = orphans.Ring(runtime)
        self._waiting: list[tuple[int, dict[str, Any]]] = []  # (daemon, its unanswered question)
        self._lonely_since = time.monotonic()
        self._poll = select.poll()
        self._wakeup = wakeup.descriptor()
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)

    def serve(self) -> None:
        """Until it is not needed any more."""
        try:  # noqa: SIM105  contextlib is not worth its pages in every slot
            self._zygote.start()
        except OSError:
            pass  # there will be another occasion
        while not self._is_over():
            for fd, _ in self._poll.poll(self._timeout_ms()):
                if fd == self._wakeup:
                    os.read(fd, 4096)
                    self._reap()
                elif fd == self._listener.fileno():
                    self._accept()
                elif fd in self._daemons:
                    self._receive(fd)
            self._sweep()
            self._answer_waiting()
        retired_to = record.elder_socket(self._runtime, os.getpid())
        os.unlink(retired_to if self._retired else record.spawner_socket(self._runtime))

    def _is_over(self) -> bool:
        if self._retired:
            return not (self._shims or len(self._ring))
        if self._shims or self._daemons or len(self._ring):
            self._lonely_since = time.monotonic()
        return time.monotonic() - self._lonely_since >= LONELY_FOR

    def _timeout_ms(self) -> int | None:
        due = self._ring.timeout()
        if due is None and not (self._shims or self._daemons):
            due = max(0.0, self._lonely_since + LONELY_FOR - time.monotonic())
        return None if due is None else int(due * 1000) + 1

    # -- daemons ----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # accept() is of the socket module
        self._daemons[fd] = Channel(socket(fileno=fd))
        self._poll.register(fd, select.POLLIN)
        self._tell(fd, {"op": "hello", "pid": os.getpid(), "protocol": record.PROTOCOL})

    def _hang_up(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._daemons.pop(fd).close()
        self._waiting = [(daemon, request) for daemon, request in self._waiting if daemon != fd]

    def _tell(self, fd: int, message: dict[str, Any]) -> None:
        if fd in self._daemons and not self._daemons[fd].send(record.encode(message)):
            self._hang_up(fd)

    def _receive(self, fd: int) -> None:
        requests: list[dict[str, Any]] = []
        alive = self._daemons[fd].receive(requests)
        self._reap()  # who asks about a dead slot may know of the death before we were woken for it
        for request in requests:
            self._obey(fd, request)
        if not alive and fd in self._daemons:
            self._hang_up(fd)

    def _obey(self, fd: int, request: dict[str, Any]) -> None:
        op, slot = request.get("op"), request.get("slot")
        if op == "retire":
            return self._retire()
        if not record.is_name(slot):
            return self._tell(fd, {"id": request.get("id"), "error": "not the name of a slot"})
        slot = str(slot)
        if op == "open":
            return self._tell(fd, {"id": request.get("id"), **self._open(slot)})
        return self._waiting.append((fd, request))

    def _retire(self) -> None:
        """Make way for a spawner of another version, and stay for the slots there are: who asks about them finds us
        beside our old place."""
        if not self._retired:
            self._retired = True
            os.rename(record.spawner_socket(self._runtime), record.elder_socket(self._runtime, os.getpid()))
            os.close(self._lock)
        for fd in list(self._daemons):
            self._hang_up(fd)

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for fd, request in waiting:
            answer = self._answer(request["slot"], request)
            if answer is None:
                self._waiting.append((fd, request))
            else:
                self._tell(fd, {"id": request.get("id"), **answer})

    def _answer(self, slot: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """About a slot whose shim is dead; None as long as its warden has not seen that.

        A "gone" is answered once the exit is on record, or all of it is over (or was never ours).
        """
        wardens = [pid for pid, name in self._shims.items() if name == slot]
        if wardens:
            os.kill(wardens[0], signal.SIGCONT)  # it might be stopped
            return None
        if request["op"] == "end":
            return {"known": self._ring.end(slot)}
        if request["op"] == "signal":
            return {"known": self._ring.signal(slot, int(request["number"]))}
        state = self._ring.state(slot)
        return None if state == "running" or (state == "exited" != request["until"]) else {"state": state}

    # -- slots ------------------------------------------------------------------------------------------------------

    def _open(self, slot: str) -> dict[str, Any]:
        """The socket listens before the fork, so the answer can be used at once."""
        for _ in range(_TRIES):
            try:
                listener = _listen(record.slot_socket(self._runtime, slot))
            except OSError as error:
                return {"error": error.strerror, "errno": error.errno}
            group = cgroup.make(slot)
            groups = () if group is None else (group,)
            try:
                pids = self._zygote.fork(slot, listener, groups)
            except OSError as error:
                if not isinstance(error, TimeoutError):  # else what may come of it removes its files itself, once idle
                    self._unmake(slot)
                return {"error": error.strerror, "errno": error.errno}
            finally:
                listener.close()
                for fd in groups:
                    os.close(fd)
            if pids is not None:
                self._shims[pids[0]] = slot
                self._unmade.discard(slot)
                return {"pid": pids[1]}
            self._unmake(slot)
        return {"error": f"it was killed {_TRIES} times", "errno": None}

    def _unmake(self, slot: str) -> None:
        """Nothing of it shall stay; its control group goes once those are collected who began it."""
        record.remove_slot(self._runtime, slot)
        if not cgroup.leave(slot):
            self._unmade.add(slot)

    def _let_go(self) -> None:
        """In a fork: of all that is this process's alone."""
        self._listener.close()
        for daemon in self._daemons.values():
            daemon.close()
        os.close(self._wakeup)
        self._ring.close()

    def _sweep(self) -> None:
        """Show the ring its orphans: never those of a shim that is dead already but not known to be."""
        while len(self._ring):
            children = set(tree.children())
            if not self._reap():
                if not any(map(tree.has_ended, self._shims)):  # else its death is about to wake us
                    self._ring.sweep(children - self._shims.keys() - {self._zygote.pid})
                break

    def _reap(self) -> bool:
        """Collect what has ended; False if nothing had."""
        any_ended = False
        while (child := orphans.collect()) is not None:
            any_ended = True
            pid, status, usage, ran = child
            slot = self._shims.pop(pid, None)
            if pid == self._zygote.pid:
                self._zygote.reaped()
            elif slot is None:
                self._ring.reaped(pid, status, usage, ran)
            elif status != 0 or pid in self._bereft:
                self._bereft.discard(pid)
                self._succeed(pid, slot)
            else:
                cgroup.leave(slot)
        if any_ended:
            self._unmade = {slot for slot in self._unmade if not cgroup.leave(slot)}
        return any_ended

    def _succeed(self, pid: int, slot: str) -> None:
        """Take over from a slot that was killed, once all of it is dead: the shim goes with its warden, but later."""
        shims = [child for child in tree.children() if os.getsid(child) == pid]
        tree.kill(shims)
        self._bereft |= set(shims)
        self._shims |= dict.fromkeys(shims, slot)
        if slot not in self._shims.values():
            self._ring.take_over(slot)


def _listen(path: str) -> socket:
    listener = socket(AF_UNIX, SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def main(runtime: str) -> int:
    """Says "ready" on stdout once it can be called, or why it cannot run; then lets go of stdout."""
    os.umask(0o077)
    os.chdir("/")
    wakeup.catch_signals()
    tree.become_subreaper()
    try:
        for folder in ("slots", "runs"):
            os.makedirs(f"{runtime}/{folder}", 0o700, exist_ok=True)
        spawner = Spawner(runtime)
    except OSError as error:
        os.write(1, f"{error}\n".encode())
        return 1
    try:  # noqa: SIM105  contextlib is not worth its pages in every slot
        os.write(1, b"ready\n")
    except BrokenPipeError:
        pass  # the daemon has been killed meanwhile, and the next one will call
    os.dup2(0, 1)
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles, and a collection would touch every page the forks share
    spawner.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
