"""What a slot is while its run lasts: a process that has done next to nothing, and has next to no memory of its own.

A slot begins as two processes. The warden is forked first, and waits. The shim, its child, does all the work. When a
run has lasted for a while, the shim hands it over and ends: what it leaves becomes the warden's, which is the nearest
subreaper. The warden greets daemons and collects orphans in its place. As soon as there is more to do, the leader's end
or an order, it becomes a shim itself, for the rest of this run; then the slot retires.

Each page that a process writes becomes its own, and the work of a shim writes a good part of an interpreter's. So the
warden does nothing that it need not do.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from _socket import AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SOCK_SEQPACKET, socket, socketpair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import gate, handover, leader, record, shim, tree, wakeup
    from jobkeepd.spawner.channel import Channel
else:
    import gate
    import handover
    import leader
    import record
    import shim
    import tree
    import wakeup
    from channel import Channel

LASTING = 2.0  # seconds after which a run is handed over


def run(runtime: str, boot_id: str, name: str, listener: int, answer: int, groups: tuple[int, ...]) -> int:
    """The life of a slot, in a process of its own; its exit status. Not 0: somebody has to take over.

    The answer is our pid and the shim's, or -errno. `groups` has the way into the slot's control group, if it has one:
    the spawner has made it, for to look for the place costs memory.
    """
    os.setsid()
    for group in groups:
        _enter(group)
    tree.become_subreaper()
    awake = wakeup.descriptor()
    lock = record.open_lock(record.slot_lock(runtime, name))
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
    me = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        reply(answer, b"-%d" % (error.errno or 0))
        return 0
    if pid == 0:  # it keeps its end of the answer: who waits for one learns that there is nobody left
        os.close(awake)
        ours.close()
        tree.die_with(me)
        tree.become_subreaper()
        record.lock(lock)
        first = First(runtime, name, socket(fileno=listener), boot_id, gate.Gate(runtime, name))
        first.warden = theirs
        signal.signal(signal.SIGTERM, first.retire_soon)
        first.serve()
        return 0
    reply(answer, b"%d %d" % (me, pid))
    os.close(answer)
    theirs.close()
    handed = _await(pid, ours, awake)
    if handed is not None:
        record.lock(lock, 1)  # beside the shim's own, so that the slot is never without
    ours.close()
    _, status = os.waitpid(pid, 0)  # from here on its children are ours
    if handed is None:
        return 0 if status == 0 else 1
    door = socket(fileno=listener)
    handed.daemon = _sleep(handed, door, awake)
    heir = Heir(runtime, name, door, boot_id, gate=None)  # type: ignore[arg-type]  # it will start nothing
    os.close(awake)  # not before it has another one: to be woken without a reader would never end
    heir.take_up(handed)
    heir.serve()
    return 0


def _enter(group: int) -> None:
    try:  # noqa: SIM105  contextlib is not worth its pages in every slot
        os.write(group, b"0")
    except OSError:
        pass  # a host that refuses does without
    os.close(group)


def reply(answer: int, words: bytes) -> None:
    try:  # noqa: SIM105  contextlib is not worth its pages in every slot
        os.write(answer, words)
    except BrokenPipeError:
        pass  # the spawner has been killed


def _await(pid: int, ours: socket, awake: int) -> handover.Handover | None:
    """What the shim hands over; None once it has ended without. A child of it that waits at its gate has our other end,
    too: so that the shim is gone is not told by a hang-up."""
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    poll.register(awake, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == ours.fileno():
                return handover.receive(ours)
            os.read(awake, 4096)
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return None


class First(shim.Shim):
    """Takes runs, and ends once it has handed over one that lasts."""

    warden: socket

    def _pass_gate(self, command: leader.Command) -> None:
        super()._pass_gate(command)
        if self._state == shim.RUNNING and self._deadline is None:
            self._deadline = time.monotonic() + LASTING

    def _expire(self) -> None:
        if self._state != shim.RUNNING or self._command is not None or self._leftovers.killing:
            super()._expire()
        elif self._daemon is None or self._daemon.is_between_messages:
            self._hand_over()
        else:
            self._deadline = time.monotonic() + LASTING

    def _hand_over(self) -> None:
        os.kill(os.getppid(), signal.SIGCONT)  # whoever has stopped the slot may have continued us alone
        self._tell(record.encode({"op": "lasts", "run": self._run}))
        hello = record.encode({**self._hello(), "pid": os.getppid(), "last": True})
        rest = {
            "run": self._run, "grace": self._grace, "identity": self._identity, "limited": self._limits.imposed,
        }  # fmt: skip
        daemon = [] if self._daemon is None else [self._daemon.fileno()]
        handover.send(self.warden, self._leader, hello, rest, self._record.fileno(), list(self._logs), daemon)
        os._exit(0)


class Heir(shim.Shim):
    """Goes on with that run, which is the slot's last one."""

    def take_up(self, handed: handover.Handover) -> None:
        known = json.loads(handed.rest)
        self._run, self._grace, self._identity = known["run"], known["grace"], known["identity"]
        self._leader, self._logs, self._state, self._deadline = handed.leader, set(handed.logs), shim.RUNNING, None
        self._limits.imposed, self._retiring = known["limited"], True
        self._record.go_on(known["run"], handed.record)
        if handed.daemon is not None:
            self._daemon, self._greeted = Channel(handed.daemon), True
            self._poll.register(self._daemon, select.POLLIN)
        signal.raise_signal(signal.SIGCHLD)  # who has ended meanwhile

    def _hello(self) -> dict[str, Any]:
        return {**super()._hello(), "last": True}


def _sleep(handed: handover.Handover, listener: socket, awake: int) -> socket | None:
    """Until there is something for a shim to do; the connection to the daemon that there is then."""
    daemon = handed.daemon
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(awake, select.POLLIN)
    if daemon is not None:
        poll.register(daemon, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == awake:
                os.read(awake, 4096)
                if _has_ended(handed.leader):
                    return daemon
            elif fd == listener.fileno():
                if daemon is not None:
                    poll.unregister(daemon)
                    daemon.close()
                daemon = _greet(listener, handed.hello)
                poll.register(daemon, select.POLLIN)
                break  # what an older connection still holds must stay unread
            elif daemon is not None:
                if _has_spoken(daemon):
                    return daemon
                poll.unregister(daemon)
                daemon.close()
                daemon = None


def _has_ended(leader: int) -> bool:
    """Whether it has; it is left to be collected, unlike the orphans that have ended meanwhile."""
    while (child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
        if child.si_pid == leader:
            return True
        os.waitpid(child.si_pid, 0)
    return False


def _greet(listener: socket, hello: bytes) -> socket:
    fd, _ = listener._accept()  # type: ignore[attr-defined]  # accept() is of the socket module
    daemon = socket(fileno=fd)
    try:  # noqa: SIM105  contextlib is not worth its pages in every slot
        daemon.send(hello, MSG_DONTWAIT | MSG_NOSIGNAL)
    except OSError:
        pass  # it is gone already, as will be seen
    return daemon


def _has_spoken(daemon: socket) -> bool:
    """Or else it has hung up."""
    try:
        return bool(daemon.recv(1, MSG_PEEK | MSG_DONTWAIT))
    except OSError:
        return False
