"""Starts a leader behind a gate without copying this process.

fork() would be the dearest part of a run: both sides copy, page by page, whatever they touch next. posix_spawn lends
the memory to the child instead, but keeps its caller waiting until exec. So a second thread makes the call, and the
child is held back by its own file actions: it opens one FIFO to say that it exists, and another one to wait. Once
its identity is on record the main thread opens that one, too, and the child goes on to exec.

The record is what counts: the child's last action before exec is to open it, and without it there is no exec. So if
this process dies with a child in front of the gate, whoever cleans up after it just opens the gate: the child either
is on record, and runs, or it is not, and ends.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeepd.spawner import leader, record, tree
else:
    import record
    import tree

_POSIX_SPAWN_SETSIGMASK, _POSIX_SPAWN_SETSID = 0x08, 0x80
_libc = ctypes.PyDLL(None)
_spawn = ctypes.CDLL(None).posix_spawn  # releases the interpreter lock, unlike os.posix_spawn
_open_in_child = _libc.posix_spawn_file_actions_addopen
_open_in_child.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
_spawn.argtypes = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip


class Gate:
    """One start at a time: `hold`, then `open`, then, once `fileno` is readable, `result`."""

    def __init__(self, runtime: str, slot: str) -> None:
        self._runtime = runtime
        self._here = record.slot_here(runtime, slot)
        self._gate = record.slot_gate(runtime, slot)
        for path in (self._here, self._gate):
            os.mkfifo(path, 0o600)
        self._called = _thread.allocate_lock()
        self._called.acquire()
        self._call: tuple[object, ...] = ()
        self._error = 0
        self._returned, self._say_returned = os.pipe2(os.O_CLOEXEC)
        self._attributes = ctypes.create_string_buffer(1024)  # larger than any libc's type
        _libc.posix_spawnattr_init(self._attributes)
        flags = _POSIX_SPAWN_SETSID | _POSIX_SPAWN_SETSIGMASK  # with the attributes' mask, which is empty
        _libc.posix_spawnattr_setflags(self._attributes, ctypes.c_short(flags))
        self._actions = ctypes.create_string_buffer(512)
        self._thread = 0
        started = _thread.allocate_lock()
        started.acquire()
        _thread.start_new_thread(self._make_calls, (started,))
        started.acquire()

    def fileno(self) -> int:
        """Readable once the child has passed exec, or cannot."""
        return self._returned

    def hold(self, run: str, command: leader.Command, out: int, err: int) -> int | None:
        """Start a child with the current directory and umask, up to the gate. None: there is none, see `result`."""
        actions = self._actions
        _libc.posix_spawn_file_actions_init(actions)
        # All at descriptor 1: each one that is opened closes the one before.
        _open_in_child(actions, 1, os.fsencode(self._here), os.O_WRONLY, 0)
        _open_in_child(actions, 1, os.fsencode(self._gate), os.O_RDONLY, 0)
        _open_in_child(actions, 1, os.fsencode(record.run_path(self._runtime, run)), os.O_RDONLY, 0)
        _libc.posix_spawn_file_actions_adddup2(actions, out, 1)
        _libc.posix_spawn_file_actions_adddup2(actions, err, 2)
        here = os.open(self._here, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._call = (os.fsencode(command.path), command.argv, command.env)
        self._called.release()
        poll = select.poll()
        poll.register(here, select.POLLIN)  # hangs up when its one writer moves on to the gate
        poll.register(self._returned, select.POLLIN)
        ready = [fd for fd, _ in poll.poll()]
        os.close(here)
        return None if self._returned in ready else self._child()

    def open(self) -> None:
        """Let the child go. It may be a moment short of the gate, or killed in front of it."""
        while not (record.open_gate(self._gate) or self._has_returned()):
            os.sched_yield()

    def result(self) -> int:
        """Wait for exec: 0, or its errno."""
        os.read(self._returned, 1)
        _libc.posix_spawn_file_actions_destroy(self._actions)
        return self._error

    def _has_returned(self) -> bool:
        return bool(select.select([self._returned], [], [], 0)[0])

    def _child(self) -> int | None:
        """The child of the other thread. There is one: the slot was empty, and orphans go to the main thread."""
        return next(iter(tree.children_of(self._thread)), None)

    def _make_calls(self, started: _thread.LockType) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # they are to wake the main thread
        self._thread = _thread.get_native_id()
        started.release()
        pid = ctypes.c_int()
        while True:
            self._called.acquire()
            path, argv, env = self._call
            self._error = _spawn(ctypes.byref(pid), path, self._actions, self._attributes, argv, env)
            os.write(self._say_returned, b"\n")
