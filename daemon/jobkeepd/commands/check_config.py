"""`jobkeepd check-config`: what the daemon would be set to and where each value is from, or all that is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from jobkeepd import arguments, failures, logs
from jobkeepd.config import Config, load, overlay, read_file
from jobkeepd.errors import BadConfig
from jobkeepd.values import flat

# What the paths follow where neither file nor environment says anything of them.
_BY_SYSTEMD = {"daemon.state_dir": "STATE_DIRECTORY", "daemon.runtime_dir": "RUNTIME_DIRECTORY"}


class Value(Struct, frozen=True):
    """`source` is `from` in JSON; `where` the variable. Durations are seconds."""

    key: str
    value: Any
    source: Literal["default", "file", "environment"] = field(name="from")
    where: str | None = None


class Checked(Struct, frozen=True):
    """`file`: which was read; None: there is none. With problems there are no values."""

    ok: bool
    file: str | None
    problems: list[str]
    values: list[Value]


def run(argv: Sequence[str]) -> int:
    """The exit status: 0, or 2 for mistakes. Prints a report as JSON."""
    logs.hold_streams()
    report = check(arguments.parse_check_config(argv), os.environ, os.cpu_count() or 1, os.getuid())
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 0 if report.ok else failures.BAD_CONFIG


def check(path: Path | None, environ: Mapping[str, str], cpus: int, uid: int) -> Checked:
    file = None if path is None else str(path)
    try:
        config = load(path, environ, cpus, uid)
    except BadConfig as error:
        return Checked(False, file, error.problems, [])
    return Checked(True, file, [], effective(config, path, environ))


def effective(config: Config, path: Path | None, environ: Mapping[str, str]) -> list[Value]:
    """Every key of a configuration without mistakes."""
    said = read_file(path, [])
    found = []
    for place, value in flat(config):
        key, variable = ".".join(place), _variable(environ, place)
        if variable is not None:
            found.append(Value(key, value, "environment", variable))
        elif _has(said, place):
            found.append(Value(key, value, "file"))
        elif environ.get(_BY_SYSTEMD.get(key, "")):
            found.append(Value(key, value, "environment", _BY_SYSTEMD[key]))
        else:
            found.append(Value(key, value, "default"))
    return found


def _variable(environ: Mapping[str, str], place: Sequence[str]) -> str | None:
    """The one that sets this key, if there is one."""
    ours = (name for name in environ if name.lower().startswith(f"jobkeep_{place[0]}_"))
    return next((name for name in ours if _has(_overlaid({name: environ[name]}), place)), None)


def _overlaid(environ: Mapping[str, str]) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    overlay(raw, environ, [])
    return raw


def _has(table: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return False
        table = table[name]
    return True
