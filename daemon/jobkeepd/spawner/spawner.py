"""The process that forks slots. Run by path, with `python -I -S`: RUNTIME_DIR is its one argument.

Single-threaded and small, because each slot is a fork of it. It survives the daemon, and ends by itself when it has
no slot left and no daemon has called for a while. Slots that are killed fall to it: see orphans.py.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time
from _socket import AF_UNIX, SOCK_STREAM, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import orphans, record, shim, tree, wakeup
    from jobkeepd.spawner.channel import Channel
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import orphans
    import record
    import shim
    import tree
    import wakeup
    from channel import Channel

LONELY_FOR = 10.0


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
        self._shims: dict[int, str] = {}
        self._ring = orphans.Ring(runtime)
        self._waiting: list[tuple[int, dict[str, Any]]] = []  # (daemon, its unanswered "gone")
        self._lonely_since = time.monotonic()
        self._poll = select.poll()
        self._wakeup = wakeup.descriptor()
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)

    def serve(self) -> None:
        """Until it is not needed any more."""
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
        if not self._retired:
            os.unlink(record.spawner_socket(self._runtime))

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
        if op == "gone":
            return self._waiting.append((fd, request))
        known = self._ring.end(slot) if op == "end" else self._ring.signal(slot, int(request["number"]))
        return self._tell(fd, {"id": request.get("id"), "known": known})

    def _retire(self) -> None:
        """Make way for a spawner of another version, and stay for the slots there are."""
        if not self._retired:
            self._retired = True
            self._poll.unregister(self._listener)
            os.unlink(record.spawner_socket(self._runtime))
            self._listener.close()
            os.close(self._lock)
        for fd in list(self._daemons):
            self._hang_up(fd)

    def _answer_waiting(self) -> None:
        """A "gone" is answered once the exit is on record, or all of it is over (or was never ours)."""
        waiting, self._waiting = self._waiting, []
        for fd, request in waiting:
            slot = request["slot"]
            state = self._ring.state(slot)
            if slot in self._shims.values() or state == "running" or (state == "exited" != request["until"]):
                self._waiting.append((fd, request))
            else:
                self._tell(fd, {"id": request.get("id"), "state": state})

    # -- slots ------------------------------------------------------------------------------------------------------

    def _open(self, slot: str) -> dict[str, Any]:
        """The socket listens before the fork, so the answer can be used at once."""
        try:
            listener = _listen(record.slot_socket(self._runtime, slot))
            pid = os.fork()
        except OSError as error:
            return {"error": error.strerror, "errno": error.errno}
        if pid == 0:
            self._become_slot(slot, listener)
        listener.close()
        self._shims[pid] = slot
        return {"pid": pid}

    def _become_slot(self, slot: str, listener: socket) -> None:
        status = 1
        try:
            self._listener.close()
            for daemon in self._daemons.values():
                daemon.close()
            os.close(self._wakeup)
            self._ring.close()
            shim.run(self._runtime, slot, listener, self._boot_id)
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)

    def _sweep(self) -> None:
        """Show the ring its orphans: never those of a shim that is dead already but not known to be."""
        while len(self._ring):
            children = set(tree.children())
            if not self._reap():
                self._ring.sweep(children - self._shims.keys())
                break

    def _reap(self) -> bool:
        """Collect what has ended; False if nothing had."""
        ended: dict[int, tuple[int, Any]] = {}
        fallen: list[str] = []
        while (child := _wait()) is not None:
            pid, status, usage = child
            slot = self._shims.pop(pid, None)
            if slot is None:
                ended[pid] = (status, usage)
            elif status != 0:
                fallen.append(slot)
        # A leader falls to us at the very moment its shim ends, so the two are seen in one pass, in any order.
        for slot in fallen:
            self._ring.take_over(slot, ended)
        for pid, (status, usage) in ended.items():
            self._ring.reaped(pid, status, usage)
        return bool(ended or fallen)


def _wait() -> tuple[int, int, Any] | None:
    try:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status, usage) if pid else None


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
    os.write(1, b"ready\n")
    os.dup2(0, 1)
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles, and a collection would touch every page the forks share
    spawner.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
