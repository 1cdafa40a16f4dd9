"""The configuration: every component's Settings composed, parsed once, all problems found at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import MsgspecError, Struct, convert, structs
from msgspec.structs import fields

from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.sizes import to_bytes
from jobkeep.protocol.vocabulary import Name
from jobkeepd import accounts
from jobkeepd.checks import too_small, troubles
from jobkeepd.errors import BadConfig
from jobkeepd.expected import meant, place_of, to_write
from jobkeepd.logs import LogFormat, LogLevel
from jobkeepd.rpc.settings import AccessSettings
from jobkeepd.runner.settings import DaskSettings, WorkerSettings
from jobkeepd.supervisor.settings import (
    Bytes,
    CleanupSettings,
    Duration,
    FamilySettings,
    JobSettings,
    LimitSettings,
    LockSettings,
    LogSettings,
    Memory,
    QueueSettings,
    RecoverySettings,
    RetentionSettings,
    ScheduleSettings,
    SessionSettings,
)

_S = TypeVar("_S", bound=Struct)
SOCKET_PATH_LIMIT = 107  # bytes of sun_path without its NUL
# A slot's socket is the longest path we make in the runtime directory.
LONGEST_NAME = len("/slots/") + 24 + len(".socket")


class DaemonSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[daemon]`. Empty paths mean: by systemd's or the XDG variables."""

    socket: str = ""
    state_dir: str = ""
    runtime_dir: str = ""
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
    on_stop: Literal["leave", "drain"] = "leave"  # what becomes of running functions when the daemon is stopped
    drain_timeout: Duration = 60.0  # of a drain before the end


class Config(Struct, frozen=True):
    """The whole; paths are absolute."""

    daemon: DaemonSettings
    access: AccessSettings
    jobs: JobSettings
    locks: LockSettings
    recovery: RecoverySettings
    retention: RetentionSettings
    logs: LogSettings
    cleanup: CleanupSettings
    workers: WorkerSettings
    queues: dict[str, QueueSettings]
    families: dict[str, FamilySettings]
    sessions: dict[str, SessionSettings]
    limits: dict[str, LimitSettings]  # by label
    schedules: dict[str, ScheduleSettings]
    dask: dict[str, DaskSettings]


_SECTIONS: dict[str, type[Struct]] = {
    "daemon": DaemonSettings,
    "access": AccessSettings,
    "jobs": JobSettings,
    "locks": LockSettings,
    "recovery": RecoverySettings,
    "retention": RetentionSettings,
    "logs": LogSettings,
    "cleanup": CleanupSettings,
    "workers": WorkerSettings,
}
# Tables of tables, and what one of them has.
NAMED: dict[str, type[Struct]] = {
    "queues": QueueSettings, "families": FamilySettings, "sessions": SessionSettings, "limits": LimitSettings,
    "schedules": ScheduleSettings, "dask": DaskSettings,
}  # fmt: skip
SECRET = frozenset({"env", "arguments"})  # keys with values that may be secrets: a problem is told without them
_ONE_OF = {
    "queues": "queue", "families": "family", "sessions": "session", "limits": "label", "schedules": "schedule",
    "dask": "cluster",
}  # fmt: skip


def load(path: Path | None, environ: Mapping[str, str], cpus: int, uid: int) -> Config:
    """Defaults, then the file, then `JOBKEEP_<SECTION>_<KEY>`. Raises BadConfig with every problem."""
    problems: list[str] = []
    raw = read_file(path, problems)
    variables = overlay(raw, environ, problems)
    for name in [name for name in raw if name not in (*_SECTIONS, *NAMED)]:
        known = [*_SECTIONS, *(f"{each}.NAME" for each in NAMED)]
        problems.append(f"[{name}]: unknown section; {meant(name, (*_SECTIONS, *NAMED))}there are {', '.join(known)}")
    found: dict[str, Any] = {key: _section(key, kind, raw.get(key, {}), problems) for key, kind in _SECTIONS.items()}
    named: dict[str, Any] = {section: _named(section, kind, raw, problems) for section, kind in NAMED.items()}
    named["queues"] = {"default": QueueSettings(limit=max(cpus, 2)), **named["queues"]}
    told = {place_of(problem) for problem in problems}  # what is wrong as a value is not missing, nor anything else
    problems.extend(each for each in troubles(found["cleanup"], **named) if place_of(each) not in told)
    found["daemon"] = _with_paths(found["daemon"], environ, uid, problems)
    problems.extend(too_small(found["logs"], found["access"]))
    problems.extend(accounts.troubles(found["access"]))
    found["access"] = accounts.with_defaults(found["access"], found["daemon"].socket, uid)
    _check_paths(found["daemon"], problems)
    if problems:
        raise BadConfig([_on_one_line(_by_its_name(problem, variables)) for problem in problems])
    return Config(**found, **named)


def _by_its_name(problem: str, variables: Mapping[str, str]) -> str:
    """What a variable says is not looked for in the file."""
    place, equals, rest = problem.partition(" = ")
    return f"{variables[place]}{equals}{rest}" if equals and place in variables else problem


def _on_one_line(problem: str) -> str:
    return problem if problem.isprintable() else problem.encode("unicode_escape").decode("ascii")


def read_file(path: Path | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"configuration file {path}: {error.strerror}")
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, numbers and nesting without end
        problems.append(f"configuration file {path}: not TOML: {error}")
    return {}


def overlay(raw: dict[str, Any], environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Environment variables over the file; -> `[section] key` -> the variable that says it.

    Names that are not a known section's are not ours to judge.
    """
    variables: dict[str, str] = {}
    for name, value in sorted(environ.items()):
        section, _, key = name.removeprefix("JOBKEEP_").lower().partition("_")
        if not name.startswith("JOBKEEP_") or not key:
            continue
        if section in NAMED:
            keys = NAMED[section].__struct_fields__
            found = next((known for known in keys if key.endswith(f"_{known}")), None)
            if found is not None:
                one = key.removesuffix(f"_{found}")
                _set(raw, [section, one], found, value)
                variables[f"[{section}.{one}] {found}"] = name
            else:
                forms = " or ".join(f"JOBKEEP_{section.upper()}_<NAME>_{known.upper()}" for known in keys)
                problems.append(f"{name}: write it {forms}")
        elif section in _SECTIONS:
            if key in _SECTIONS[section].__struct_fields__:
                _set(raw, [section], key, value)
                variables[f"[{section}] {key}"] = name
            else:
                problems.append(f"{name}: [{section}] has no key {key}")
    return variables


def _set(table: Any, path: Sequence[str], key: str, value: str) -> None:
    """Where the file has something else than a table it stays, to be told."""
    for name in path:
        if isinstance(table, dict):
            table = table.setdefault(name, {})
    if isinstance(table, dict):
        table[key] = value


def _section(name: str, kind: type[_S], values: Any, problems: list[str]) -> _S:
    """One section key by key, so that every bad value is told and not only the first."""
    good: dict[str, Any] = {}
    hints = get_type_hints(kind, include_extras=True)
    if not isinstance(values, dict):
        problems.append(f"[{name}]: a table is expected, not {values!r}")
        values = dict.fromkeys(hints)  # nothing more to be said about any of them
    else:
        for key, value in values.items():
            if key not in hints:
                problems.append(f"[{name}] {key}: unknown key; {meant(key, hints)}there are {', '.join(hints)}")
                continue
            try:
                good[key] = convert(_as_written(hints[key], value), hints[key], strict=False)
            except (MsgspecError, ValueError) as error:
                said = "…" if key in SECRET else repr(value)
                problems.append(f"[{name}] {key} = {said}: {to_write(error, hints[key])}")
    try:
        return kind(**good)
    except TypeError:
        missing = [field.name for field in fields(kind) if field.required and field.name not in values]
        problems.extend(f"[{name}] {field}: is missing" for field in missing)
        return kind(**{**dict.fromkeys(hints), **good})  # not used: the problems are told instead


def _as_written(hint: Any, value: Any) -> Any:
    """Text such as 90s where seconds are expected, 64M where bytes are, text, or several with commas, for a list."""
    if get_origin(hint) in (Union, UnionType):  # with None, for what need not be said
        hint = next(part for part in get_args(hint) if part is not NoneType)
    origin = getattr(hint, "__origin__", None)
    if isinstance(value, str) and value[:1] in ("[", "{") and hint is not str:  # of a variable: as in the file
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            return value
    if origin is float and isinstance(value, str):
        return to_seconds(value)
    if hint in (Bytes, Memory) and isinstance(value, str):
        return to_bytes(value)
    many = list in (origin, get_origin(origin))  # the latter of one with a bound
    return [part.strip() for part in value.split(",")] if many and isinstance(value, str) else value


def _named(section: str, kind: type[_S], raw: dict[str, Any], problems: list[str]) -> dict[str, _S]:
    """The tables of a section, by name."""
    tables = raw.get(section, {})
    if not isinstance(tables, dict):
        problems.append(f"[{section}]: a table of tables is expected, such as [{section}.default]")
        return {}
    found = {}
    for name, values in tables.items():
        try:
            convert(name, Name)
        except MsgspecError:
            problems.append(f"[{section}.{name}]: {name!r} is no name for a {_ONE_OF[section]}")
            continue
        found[name] = _section(f"{section}.{name}", kind, values, problems)
    return found


def _with_paths(daemon: DaemonSettings, environ: Mapping[str, str], uid: int, problems: list[str]) -> DaemonSettings:
    """systemd's directories first, then XDG's, then the same fall-backs as the client's paths."""
    state = daemon.state_dir or environ.get("STATE_DIRECTORY", "").partition(":")[0] or _xdg_state(environ)
    runtime = daemon.runtime_dir or environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not runtime:
        base = environ.get("XDG_RUNTIME_DIR", "")
        if not base.startswith("/") and _is_own(f"/run/user/{uid}", uid):
            base = f"/run/user/{uid}"
        runtime = f"{base}/jobkeep" if base.startswith("/") else f"{_xdg_state(environ)}/run"
    state, runtime = _absolute("state_dir", state, problems), _absolute("runtime_dir", runtime, problems)
    socket = _absolute("socket", daemon.socket, problems) if daemon.socket else f"{runtime}/socket"
    return structs.replace(daemon, socket=socket, state_dir=state, runtime_dir=runtime)


def _absolute(key: str, path: str, problems: list[str]) -> str:
    try:
        if "\0" in path:
            raise ValueError("a path has no NUL in it")
        os.fsencode(path)
        return os.path.abspath(path)
    except FileNotFoundError:
        problems.append(f"[daemon] {key} = {path!r}: relative to the current directory, which is gone")
    except ValueError as error:
        problems.append(f"[daemon] {key} = {path!r}: {error}")
    return "/"


def _xdg_state(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.local/state")
    return f"{base}/jobkeep"


def _is_own(folder: str, uid: int) -> bool:
    try:
        return os.stat(folder).st_uid == uid
    except OSError:
        return False


def _check_paths(daemon: DaemonSettings, problems: list[str]) -> None:
    size = len(os.fsencode(daemon.socket))
    if size > SOCKET_PATH_LIMIT:
        problems.append(
            f"[daemon] socket: {daemon.socket} has {size} bytes, a Unix socket's path at most {SOCKET_PATH_LIMIT}"
        )
    size = len(os.fsencode(daemon.runtime_dir)) + LONGEST_NAME
    if size > SOCKET_PATH_LIMIT:
        longest = SOCKET_PATH_LIMIT - LONGEST_NAME
        problems.append(f"[daemon] runtime_dir: {daemon.runtime_dir} is longer than {longest} bytes")
