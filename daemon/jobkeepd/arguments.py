"""The command lines of jobkeepd."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from jobkeepd import __version__


class Emergency(Struct, frozen=True):
    """What `jobkeepd emergency` was asked for. `socket` is where the daemon listens that it is about."""

    config: Path | None
    socket: str | None
    dry_run: bool
    reason: str | None


class Restore(Struct, frozen=True):
    """What `jobkeepd restore` was asked for."""

    file: Path
    config: Path | None


_WHICH = (
    "Without --config the file is $JOBKEEP_CONFIG, else ~/.config/jobkeep/config.toml (by $XDG_CONFIG_HOME), if there "
    "is one: also of a daemon that starts by itself. What it does not say has its default. JOBKEEP_<SECTION>_<KEY> in "
    "the environment, such as JOBKEEP_JOBS_GRACE=30s, wins over the file."
)
_EPILOG = (
    f"{_WHICH} Exit status: 0 after it was asked to stop, 1 when it cannot start or has failed, 2 for a mistake in the "
    "command line or the configuration."
)


def parse(argv: Sequence[str]) -> Path | None:
    """The configuration file that is named, if one is. Ends the process after --help, --version and mistakes."""
    named: Path | None = _parser().parse_args(argv).config
    return named


def default_file(environ: Mapping[str, str]) -> Path | None:
    """Where none is named: $JOBKEEP_CONFIG (empty: none), else the unit's or the user's own, if there is one."""
    named = environ.get("JOBKEEP_CONFIG")
    if named is not None:
        return Path(named) if named else None
    base = environ.get("XDG_CONFIG_HOME", "")
    if folder := environ.get("CONFIGURATION_DIRECTORY", "").partition(":")[0]:  # of a unit of systemd
        path = Path(folder, "config.toml")
        return path if path.exists() else None
    if not base.startswith("/"):  # the XDG rules: a relative path is ignored
        base = os.path.expanduser("~/.config")
    path = Path(base, "jobkeep", "config.toml")
    return path if path.exists() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobkeepd",
        description="The job-control daemon, in the foreground until SIGTERM or SIGINT.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file; jobkeep's config.toml shows every key with its default"
    )
    parser.add_argument("--version", action="version", version=f"jobkeepd {__version__}")
    return parser


def parse_check_config(argv: Sequence[str]) -> Path | None:
    """Of `jobkeepd check-config`: the file that it is about."""
    parser = argparse.ArgumentParser(
        prog="jobkeepd check-config",
        description="Tell all that is wrong with the configuration, or what it comes to and where each value is from, "
        "as JSON. Exit status: 0, or 2 for mistakes.",
        epilog=_WHICH,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="this file")
    named: Path | None = parser.parse_args(argv).config
    return named or default_file(os.environ)


def parse_restore(argv: Sequence[str]) -> Restore:
    """Of `jobkeepd restore`."""
    parser = argparse.ArgumentParser(
        prog="jobkeepd restore",
        description="Put a backup in the place of the database of a daemon that is stopped. Prints a report as JSON.",
        epilog=_WHICH,
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--config", type=Path, metavar="FILE", help="of the daemon")
    given = parser.parse_args(argv)
    return Restore(file=given.file, config=given.config)


def parse_emergency(argv: Sequence[str]) -> Emergency:
    """Of `jobkeepd emergency`."""
    parser = argparse.ArgumentParser(
        prog="jobkeepd emergency",
        description="End the daemon and all that it manages, and pause its queues. It asks nothing: jobkeep emergency "
        "does. Prints a report as JSON.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="of the daemon, where none listens")
    parser.add_argument("--socket", metavar="PATH", help="the daemon is the one that listens there")
    parser.add_argument("--dry-run", action="store_true", help="end nothing; say what would be ended")
    parser.add_argument("--reason", metavar="TEXT", help="goes on record")
    given = parser.parse_args(argv)
    return Emergency(config=given.config, socket=given.socket, dry_run=given.dry_run, reason=given.reason)
