"""The configuration: every component's Settings composed, parsed once, all problems found at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from msgspec import MsgspecError, Struct, convert

from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.vocabulary import Name
from jobkeepd.errors import BadConfig
from jobkeepd.logs import LogFormat, LogLevel
from jobkeepd.runner.settings import WorkerSettings
from jobkeepd.supervisor.settings import JobSettings, QueueSettings

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


class Config(Struct, frozen=True):
    """The whole; paths are absolute."""

    daemon: DaemonSettings
    jobs: JobSettings
    workers: WorkerSettings
    queues: dict[str, QueueSettings]


_SECTIONS: dict[str, type[Struct]] = {"daemon": DaemonSettings, "jobs": JobSettings, "workers": WorkerSettings}


def load(path: Path | None, environ: Mapping[str, str], cpus: int, uid: int) -> Config:
    """Defaults, then the file, then `JOBKEEP_<SECTION>_<KEY>`. Raises BadConfig with every problem."""
    problems: list[str] = []
    raw = _read(path, problems)
    _overlay(raw, environ, problems)
    for name in [name for name in raw if name not in (*_SECTIONS, "queues")]:
        problems.append(f"[{name}]: unknown section; there are {', '.join([*_SECTIONS, 'queues.NAME'])}")
    daemon = _section("daemon", DaemonSettings, raw.get("daemon", {}), problems)
    jobs = _section("jobs", JobSettings, raw.get("jobs", {}), problems)
    workers = _section("workers", WorkerSettings, raw.get("workers", {}), problems)
    queues = _queues(raw.get("queues", {}), cpus, problems)
    daemon = _with_paths(daemon, environ, uid, problems)
    _check_paths(daemon, problems)
    if problems:
        raise BadConfig([_on_one_line(problem) for problem in problems])
    return Config(daemon, jobs, workers, queues)


def _on_one_line(problem: str) -> str:
    return problem if problem.isprintable() else problem.encode("unicode_escape").decode("ascii")


def _read(path: Path | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"configuration file {path}: {error.strerror}")
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, numbers and nesting without end
        problems.append(f"configuration file {path}: not TOML: {error}")
    return {}


def _overlay(raw: dict[str, Any], environ: Mapping[str, str], problems: list[str]) -> None:
    """Environment variables over the file. Names that are not a known section's are not ours to judge."""
    for name, value in sorted(environ.items()):
        section, _, key = name.removeprefix("JOBKEEP_").lower().partition("_")
        if not name.startswith("JOBKEEP_") or not key:
            continue
        if section == "queues":
            queue, _, key = key.rpartition("_")
            if queue:
                _set(raw, ["queues", queue], key, value)
            else:
                problems.append(f"{name}: write it JOBKEEP_QUEUES_<NAME>_LIMIT")
        elif section in _SECTIONS:
            if key in _SECTIONS[section].__struct_fields__:
                _set(raw, [section], key, value)
            else:
                problems.append(f"{name}: [{section}] has no key {key}")


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
                problems.append(f"[{name}] {key}: unknown key; there are {', '.join(hints)}")
                continue
            try:
                good[key] = convert(_as_number(hints[key], value), hints[key], strict=False)
            except (MsgspecError, ValueError) as error:
                problems.append(f"[{name}] {key} = {value!r}: {error}")
    try:
        return kind(**good)
    except TypeError:
        missing = [field for field in hints if field not in values]
        problems.extend(f"[{name}] {field}: is missing" for field in missing)
        return convert({**dict.fromkeys(hints, 1), **good}, kind)


def _as_number(hint: Any, value: Any) -> Any:
    """Text such as 90s where seconds are expected."""
    is_duration = getattr(hint, "__origin__", None) is float
    return to_seconds(value) if is_duration and isinstance(value, str) else value


def _queues(raw: Any, cpus: int, problems: list[str]) -> dict[str, QueueSettings]:
    queues = {"default": QueueSettings(limit=max(cpus, 2))}
    if not isinstance(raw, dict):
        problems.append("[queues]: a table of tables is expected, such as [queues.default]")
        return queues
    for name, values in raw.items():
        try:
            convert(name, Name)
        except MsgspecError:
            problems.append(f"[queues.{name}]: {name!r} is no name for a queue")
            continue
        queues[name] = _section(f"queues.{name}", QueueSettings, values, problems)
    return queues


def _with_paths(
    daemon: DaemonSettings, environ: Mapping[str, str], uid: int, problems: list[str]
) -> DaemonSettings:
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
    return DaemonSettings(socket, state, runtime, daemon.log_level, daemon.log_format)


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
