"""A slot: the parent of one run at a time. Forked from the spawner, outlives the daemon.

It takes the next run only after ECHILD has proved that nothing of the last one is left. It never waits for the
daemon: what happens goes on record first and is then told to whoever is connected.
"""

from __future__ import annotations

import os
import select
import signal
import time
from _socket import socket  # `socket` itself would bring in a good deal more

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import ended, leader, record, tree, wakeup
    from jobkeepd.spawner.channel import Channel
    from jobkeepd.spawner.gate import Gate, hold
    from jobkeepd.spawner.leftovers import Leftovers
    from jobkeepd.spawner.limits import Limits
    from jobkeepd.spawner.run_record import RunRecord, drained_lines, exit_line
else:
    import ended
    import leader
    import record
    import tree
    import wakeup
    from channel import Channel
    from gate import Gate, hold
    from leftovers import Leftovers
    from limits import Limits
    from run_record import RunRecord, drained_lines, exit_line

IDLE_FOR = 60.0  # seconds an idle slot waits for its daemon to come back
_GLANCE = 0.005  # a run that has ended this soon is told of in one go
_REAP_AT_ONCE = 128  # a tree that dies and forks at full speed must not keep the loop from its other duties
IDLE, RUNNING, DRAINING, KEEPING = "idle", "running", "draining", "keeping"


class Shim:
    """State of the slot. `_state` is idle, running (the leader lives), draining (only its leftovers do) or keeping
    (only those that want to stay do: the run is over, and so is the slot once they have ended)."""

    def __init__(self, runtime: str, name: str, listener: socket, boot_id: str, gate: Gate) -> None:
        self._runtime, self._name, self._boot_id = runtime, name, boot_id
        self._listener = listener
        self._daemon: Channel | None = None
        self._greeted = False
        self._state = IDLE
        self._run: str | None = None  # the last one accepted
        self._leader = 0
        self._identity: list[Any] = []
        self._signature = ""  # the same as JSON
        self._gate = gate
        self._base = leader.Base({})  # of the connection
        self._command: leader.Command | None = None  # until the leader has passed exec
        self._watching = False  # the gate, for that
        self._untold = b""  # goes before what is told next
        self._record = RunRecord(runtime, name)
        self._logs: set[int] = set()
        self._limits = Limits(name)
        self._grace = self._graced_until = 0.0
        self._leftovers = Leftovers()
        self._deadline: float | None = time.monotonic() + IDLE_FOR
        self._retiring = False
        self._poll = select.poll()
        self._wakeup = wakeup.descriptor()
        for fd in (listener.fileno(), self._wakeup):
            self._poll.register(fd, select.POLLIN)

    def serve(self) -> None:
        """Until retired, or idle for long without a daemon."""
        while not (self._state == IDLE and self._retiring):
            ready = {fd for fd, _ in self._poll.poll(self._timeout_ms())}
            if self._listener.fileno() in ready:
                self._accept()  # first: what an older connection still holds must stay unread
            elif self._daemon is not None and self._daemon.fileno() in ready:
                self._receive(self._daemon)
            if self._command is not None and self._gate.fileno() in ready:
                self._pass_gate(self._command)
                self._tell(b"")
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._reap()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._expire()
        record.remove_slot(self._runtime, self._name)

    def retire_soon(self, *_: object) -> None:
        """TERM from a host that shuts down: end once idle, unless a daemon is there to decide."""
        if self._daemon is None:
            self._retiring = True

    def _timeout_ms(self) -> int | None:
        return None if self._deadline is None else max(0, int((self._deadline - time.monotonic()) * 1000) + 1)

    def _expire(self) -> None:
        if self._state == IDLE:
            self._retiring = True
        elif self._command is not None and not self._watching:
            self._poll.register(self._gate, select.POLLIN)
            self._watching, self._deadline = True, None
            self._press_on()
        elif self._state == DRAINING and time.monotonic() < self._graced_until:
            self._press_on()
        else:
            self._kill()

    # -- the daemon -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        self._hang_up()
        fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # accept() is of the socket module
        self._daemon = Channel(socket(fileno=fd))
        self._base = leader.Base({})
        self._greeted = False
        self._poll.register(self._daemon, select.POLLIN)
        if self._state == IDLE:
            self._deadline = None
        if self._command is None:  # else it is not known yet whether the command can be started
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        self._tell(record.encode(self._hello()))

    def _hello(self) -> dict[str, Any]:
        keeping = self._state == KEEPING
        return {
            "op": "hello", "slot": self._name, "pid": os.getpid(), "protocol": record.PROTOCOL, "run": self._run,
            "state": IDLE if keeping else self._state, "leader": self._identity, "keeping": keeping,
        }  # fmt: skip

    def _hang_up(self) -> None:
        if self._daemon is not None:
            self._poll.unregister(self._daemon)
            self._daemon.close()
            self._daemon, idle = None, self._state == IDLE
            self._deadline = time.monotonic() + IDLE_FOR if idle else self._deadline

    def _tell(self, lines: bytes) -> None:
        lines, self._untold = self._untold + lines, b""
        if self._daemon is not None and lines and not self._daemon.send(lines):
            self._hang_up()

    def _receive(self, daemon: Channel) -> None:
        messages: list[dict[str, Any]] = []
        alive = daemon.receive(messages)
        for message in messages:
            self._obey(message)
        if not alive and self._daemon is daemon:
            self._hang_up()

    def _obey(self, message: dict[str, Any]) -> None:
        op = message.get("op")
        if op == "start":
            self._start(message)
        elif op == "signal" and message.get("run") == self._run and self._leader and not self._command:
            tree.signal_group(self._leader, int(message["number"]))
        elif op == "end" and message.get("run") == self._run and self._state != IDLE:
            self._kill()
        elif op == "retire":
            self._retiring = True

    # -- the start --------------------------------------------------------------------------------------------------

    def _start(self, order: dict[str, Any]) -> None:
        run = order["run"]
        if "base" in order:  # the connection's from now on
            self._base = leader.Base(order["base"])
        if self._state != IDLE or self._retiring:
            return self._tell(leader.Failed("slot", None, "the slot is busy").line(run, self._name))
        self._run, self._identity, self._grace = run, [], float(order["grace"])
        try:
            self._command, self._leader, self._logs = hold(order, self._base, self._gate)
            self._sign_for(run, self._leader, order.get("limits"))
        except leader.Failed as failure:
            return self._fail(failure)
        self._state, self._deadline = RUNNING, time.monotonic() + _GLANCE
        return self._gate.open()

    def _sign_for(self, run: str, pid: int, wanted: dict[str, Any] | None) -> None:
        """Limit the leader and put it on record: from here on it may run."""
        try:
            self._limits.impose(wanted, pid)
            self._identity = [self._boot_id, pid, record.start_ticks(pid), record.pidfd_inode(pid)]
            self._signature = self._record.sign(run, self._identity, self._grace)
        except (OSError, leader.Failed) as error:
            self._gate.abandon(pid)
            if isinstance(error, leader.Failed):
                raise
            why = f"the slot cannot write the run's record: {error.strerror}"
            raise leader.Failed("record", error.errno, why) from None

    def _fail(self, failure: leader.Failed) -> None:
        line = failure.line(self._run or "", self._name)
        self._record.fail(self._run or "", line)
        self._become_idle()
        self._answer_start(line)
        self._tell(b"")

    def _pass_gate(self, command: leader.Command) -> None:
        """Exec has taken place, or has failed; then the child is gone, and libc or `_reap` has collected it."""
        number = self._gate.result()
        self._command = None
        if self._watching:
            self._poll.unregister(self._gate)
            self._watching = False
        elif not self._leftovers.killing:
            self._deadline = None
        if number:
            self._fail(command.failure(number))
        else:
            self._answer_start(f'{{"op":"started","run":"{self._run}","leader":{self._signature}}}\n'.encode())

    def _answer_start(self, line: bytes) -> None:
        """To be told right after; a daemon that came in between hears it with its hello."""
        if self._daemon is not None and not self._greeted:
            self._greet()
        else:
            self._untold = line

    # -- the end ----------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Collect what has ended. Says what it learned of the leader and of ECHILD in one message."""
        exited: bytes | None = None
        try:
            for count, (pid, status, usage) in enumerate(ended.children()):
                self._leftovers.reaped(pid)
                if pid == self._leader:
                    exited = self._leader_ended(status, usage)
                if count == _REAP_AT_ONCE:
                    signal.raise_signal(signal.SIGCHLD)
                    break
        except ChildProcessError:
            if self._command is not None:
                self._pass_gate(self._command)  # libc has collected a child that could not exec
            return self._drained(exited) if self._state != IDLE else None
        if exited is not None:
            self._tell(exited + b"}\n")
        return self._press_on()

    def _leader_ended(self, status: int, usage: ended.Usage) -> bytes | None:
        """Put its exit on record, and return that line without its end, to which the proof of ECHILD may be added."""
        self._leader = 0
        if self._command is not None:
            self._pass_gate(self._command)
        if self._state == IDLE:
            return None  # it could not exec, and has said so
        line = exit_line(self._run or "", status, usage, self._limits.oom_kills())
        self._record.add(line + b"}\n")
        self._state, self._graced_until = DRAINING, time.monotonic() + self._grace
        self._deadline = self._graced_until
        return line

    def _drained(self, exited: bytes | None, keeping: bytes = b"") -> None:
        if self._state == KEEPING:
            return self._become_idle()
        more, leftovers = self._leftovers.told() + keeping, self._leftovers
        lines = drained_lines(self._run or "", exited, more, self._logs)
        self._record.add(lines[0])
        self._become_idle()
        if keeping:
            self._state, self._leftovers, self._deadline, self._retiring = KEEPING, leftovers, None, True
        return self._tell(lines[-1])

    def _become_idle(self) -> None:
        self._state, self._leader, self._command, self._leftovers = IDLE, 0, None, Leftovers()
        self._deadline = None if self._daemon is not None else time.monotonic() + IDLE_FOR
        for fd in self._logs:
            os.close(fd)
        self._logs = set()
        self._limits.lift()
        self._record.close()

    def _press_on(self) -> None:
        """Something of the run is left: once the leader is gone it gets TERM, and after its grace KILL."""
        if self._leftovers.killing or self._state == KEEPING:
            self._kill()
        elif self._state == DRAINING:
            self._leftovers.warn()
            self._look_again(self._graced_until)

    def _kill(self) -> None:
        self._leftovers.kill(self._leader)
        self._tell(self._leftovers.survivors(self._run or ""))
        self._look_again(None)

    def _look_again(self, at: float | None) -> None:
        """Once those that want to stay are all that is left, the run is over."""
        pause = self._leftovers.pause
        self._deadline = at if pause is None else time.monotonic() + pause
        if self._leftovers.kept and not self._leader:
            self._deadline = None
            if self._state == DRAINING:
                self._drained(None, b',"keeping":true')
