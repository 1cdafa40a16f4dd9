"""What may stand where the cursor is: the same declarations that command lines are read by, and names that live now.

`jobkeep __complete WORD…` is what the shells' scripts call; the last word is the one that is typed, and may be empty.
"""

from __future__ import annotations

import os
import sys

from jobkeep.cli.options import add_globals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType
    from typing import Any

    Found = list[tuple[str, str]]  # what may be typed, and a few words about it

COMMAND = "command"
# What a value is, by the name of its attribute; where that depends on the command by command, too.
KINDS = {
    "id": "jobs", "ids": "jobs", "after": "jobs", "queue": "queues", "lock": "locks", "state": "states",
    "cwd": "folders", "socket": "files", "python": "files", "config": "files", "from_file": "files", "file": "files",
    "textfile": "files",
    "cancel ids": "live", "wait ids": "live", "watch ids": "live", "explain id": "live", "run after": "live",
    "call after": "live", "resume ids": "stopped", "restart ids": "running", "rm ids": "ended",
    "lock show name": "locks", "lock reset name": "locks", "lock run name": "locks",
    "queue pause name": "queues", "queue resume name": "queues", "queue limit name": "queues",
    "schedule show name": "schedules", "schedule pause name": "schedules", "schedule resume name": "schedules",
    "schedule trigger name": "schedules", "schedule rm name": "schedules",
    "session open name": "sessions", "session close name": "sessions", "checkpoint set state": "",
    "events after": "",
}  # fmt: skip
SHELLS_OWN = ("files", "folders")  # the shell knows them best


class Declared:
    """What a command declares, as far as it is of use here. The part of ArgumentParser's interface that they use."""

    def __init__(self) -> None:
        self.usage: str | None = None
        self.options: dict[str, Word] = {}
        self.positional: list[Word] = []

    def add_argument(self, *names: str, **given: Any) -> None:
        if names[0].startswith("-"):
            self.options.update(dict.fromkeys(names, Word(names, given)))
        elif given.get("nargs") == "...":  # the names and then somebody else's command line
            for name in str(given.get("metavar", "")).replace("[-- ", "").replace("]", "").split():
                self.positional.append(Word((name.lower(),), {"nargs": "*" if name == "COMMAND" else None}))
        else:
            self.positional.append(Word(names, given))

    def add_argument_group(self, _title: str) -> Declared:
        return self

    def add_mutually_exclusive_group(self) -> Declared:
        return self


class Word:
    """One option, or one word that is none."""

    def __init__(self, names: tuple[str, ...], given: dict[str, Any]) -> None:
        long = next((name for name in names if name.startswith("--")), names[0])
        self.is_option = long[:1] == "-"
        self.dest: str = long.lstrip("-").replace("-", "_")
        self.takes_value = given.get("action", "store") in ("store", "append")
        self.many = given.get("nargs") in ("*", "+")
        self.help: str = given.get("help") or ""
        self.choices: Sequence[str] = given.get("choices") or ()
        metavar = given.get("metavar")
        if not self.choices and isinstance(metavar, str) and metavar.islower() and "|" in metavar:
            self.choices = metavar.split("|")

    def kind(self, command: str) -> str:
        """What its values are: a word of KINDS, or nothing that is known."""
        return KINDS.get(f"{command} {self.dest}", KINDS.get(self.dest, ""))


def main(words: Sequence[str]) -> int:
    """Print a line for each candidate. Nothing ever goes wrong in somebody's prompt: then there is just none."""
    try:
        lines = [f"{value}\t{about}" if about else value for value, about in candidates(words or [""], live)]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BaseException as error:
        if isinstance(error, BrokenPipeError):
            raise
    return 0


def candidates(words: Sequence[str], live: Callable[[str, str | None], Found]) -> Found:
    """For the last of the words. `live` asks the daemon at a socket (None: the usual) for names of a kind.

    A first value with a colon stands for what the shell does itself: `:files`, `:folders`, or `:command N`, which is
    another program's command line behind N words (jobkeep itself is one).
    """
    return Line(words, live).found()


class Line:
    """A command line up to the word that is typed."""

    def __init__(self, words: Sequence[str], live: Callable[[str, str | None], Found]) -> None:
        self._before, self._typed = list(words[:-1]), words[-1]
        self._live = live
        self._socket: str | None = None
        self._index = 0  # of the next word that has not been looked at

    def found(self) -> Found:
        """All candidates that begin as the word does."""
        commons = Declared()
        add_globals(commons)  # type: ignore[arg-type]
        command, module = "", None
        while parts := _commands() if module is None else {part: "" for part in getattr(module, "PARTS", ())}:
            waiting = self._options(commons)
            if waiting is not None:
                return self._values(waiting, command)
            if self._index == len(self._before):
                return self._of_options(commons) if self._typed[:1] == "-" else self._fitting(parts.items())
            part = self._before[self._index]
            if part not in parts:
                return []
            command, module = f"{command} {part}".strip(), _module(f"{command} {part}".strip())
            self._index += 1
        assert module is not None  # there are commands
        return self._of_command(command, module)

    def _options(self, declared: Declared) -> Word | None:
        """Step over options; -> one that waits for its value."""
        while self._index < len(self._before):
            word = self._before[self._index]
            if word[:1] != "-" or word in ("-", "--"):
                return None
            name, equals, value = word.partition("=")
            option = declared.options.get(name)
            self._index += 1
            if option is not None and option.takes_value and not equals:
                if self._index == len(self._before):
                    return option
                value = self._before[self._index]
                self._index += 1
            if name == "--socket":
                self._socket = value
        return None

    def _of_command(self, command: str, module: ModuleType) -> Found:
        declared = Declared()
        module.add_arguments(declared)
        add_globals(declared, timeout=not getattr(module, "OWN_TIMEOUT", False))  # type: ignore[arg-type]
        places, dashed = list(declared.positional), False
        while True:
            waiting = None if dashed else self._options(declared)
            if waiting is not None:
                return self._values(waiting, command)
            if places and places[0].dest == COMMAND and (dashed or self._index < len(self._before)):
                skipped = self._index < len(self._before) and self._before[self._index] == "--"
                return [(f":command {self._index + 1 + skipped}", "")]
            if self._index == len(self._before):
                break
            if self._before[self._index] == "--" and not dashed:
                dashed = True
            elif places and not places[0].many:
                places.pop(0)
            self._index += 1
        return self._here(command, declared, places, dashed)

    def _here(self, command: str, declared: Declared, places: list[Word], dashed: bool) -> Found:
        """With all that is before the word understood."""
        name, equals, typed = self._typed.partition("=")
        option = declared.options.get(name)
        if not dashed and equals and option is not None and option.takes_value:
            self._typed = typed
            found = self._values(option, command)
            return [(value if value[:1] == ":" else f"{name}={value}", about) for value, about in found]
        if not dashed and (self._typed[:1] == "-" or not places):
            return self._of_options(declared)
        if not places:
            return []
        if places[0].dest == COMMAND:
            return [(f":command {self._index + 1}", "")]
        return self._values(places[0], command)

    def _of_options(self, declared: Declared) -> Found:
        long = self._typed[:2] != self._typed[:1] or not self._typed  # - alone shows the long ones, too
        shown = {name: option.help for name, option in declared.options.items() if name[:2] == "--" or not long}
        return self._fitting({**shown, "--help": "tell all about the command"}.items())

    def _values(self, word: Word, command: str) -> Found:
        if word.choices:
            return self._fitting((choice, "") for choice in word.choices)
        kind = word.kind(command)
        if not kind or kind in SHELLS_OWN:
            return [(f":{kind}", "")] if kind else []
        head, comma, self._typed = self._typed.rpartition(",") if word.is_option else ("", "", self._typed)
        if kind == "states":
            from jobkeep.cli.render.style import STATES

            known: Found = [(state, "") for state in STATES]
        else:
            known = self._live(kind, self._socket)
        if len(self._typed) <= 8:
            known = [(value[:8] if kind in JOBS_OF else value, about) for value, about in known]
        return [(head + comma + value, about) for value, about in self._fitting(known)]

    def _fitting(self, known: Iterable[tuple[str, str]]) -> Found:
        return [(value, about) for value, about in known if value.startswith(self._typed)]


def _commands() -> dict[str, str]:
    from jobkeep.cli.listing import GROUPS

    return {name: summary for group in GROUPS.values() for name, summary in group.items()}


def _module(command: str) -> ModuleType:
    name = command.replace(" ", "_").replace("-", "_")
    return __import__(f"jobkeep.cli.commands.{name}", fromlist=["run"])


PATIENCE = 1.0  # seconds: somebody has pressed a key
SHOWN = 100
JOBS_OF: dict[str, tuple[str, ...] | None] = {
    "jobs": None,
    "live": ("scheduled", "queued", "running", "cancelling"),
    "running": ("running",),
    "stopped": ("failed", "cancelled"),
    "ended": ("succeeded", "failed", "cancelled"),
}
NAMED = {"queues": "Queues", "locks": "Locks", "schedules": "Schedules", "sessions": "Sessions"}


def live(kind: str, socket: str | None) -> Found:
    """Names of a kind as the daemon has them. None is started for that."""
    from jobkeep.cli.render.style import state_word
    from jobkeep.cli.render.text import escape
    from jobkeep.cli.wire import JOBS, Wire
    from jobkeep.client.finding import find

    wire = Wire(find(socket and os.path.expanduser(socket), False), PATIENCE)
    try:
        if kind in NAMED:
            return [(thing["name"], "") for thing in wire.call(f"org.jobkeep.{NAMED[kind]}.List")[kind]]
        jobs = wire.call(JOBS + "List", state=JOBS_OF[kind], limit=SHOWN)["jobs"]
    finally:
        wire.close()
    return [(job["id"], escape(f"{state_word(job['state'])} {job['name']}")) for job in jobs]
