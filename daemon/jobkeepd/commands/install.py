"""`jobkeepd install`: puts the units for systemd in their places, or takes them away. Reports as JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from jobkeepd.errors import DaemonError

_MARK: Final = "# jobkeep: "  # the first line of all that we install; we touch nothing else
_SYSTEM: Final = {
    "jobkeepd.service": "etc/systemd/system/jobkeepd.service",
    "jobkeepd.socket": "etc/systemd/system/jobkeepd.socket",
    "sysusers.conf": "etc/sysusers.d/jobkeep.conf",
    "tmpfiles.conf": "etc/tmpfiles.d/jobkeep.conf",
}
_USER: Final = ("jobkeepd.service", "jobkeepd.socket")
_KNOWS_SUBGROUP: Final = 254
_PROGRAMS: Final = "/usr/bin/jobkeep"  # as the files have it: of both, since one name begins with the other


class NotInstalled(DaemonError):
    """Nothing, or not all, was installed or taken away."""


def run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="jobkeepd install", description=__doc__)
    parser.add_argument("--user", action="store_true", help="those of your own daemon")
    parser.add_argument("--root", type=Path, metavar="DIR", help="of the system below DIR; nothing is called")
    parser.add_argument("--uninstall", action="store_true", help="take them away")
    given = parser.parse_args(argv)
    try:
        places = user_places(os.environ, given.root) if given.user else system_places(given.root)
        done = remove(places) if given.uninstall else install(places, programs())
        called = [] if given.root else list(_calls(given.user, given.uninstall))
    except (NotInstalled, OSError) as error:
        sys.stderr.write(f"jobkeepd: {error}\n")
        return 1
    left = [str(place) for place in places.values() if is_foreign(place)] if given.uninstall else []
    sys.stderr.writelines(f"jobkeepd: {place} is not from jobkeep, and was left alone\n" for place in left)
    report = {"files": done, "called": called, "uninstalled": given.uninstall, "left": left}
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if left else 0


def system_places(root: Path | None) -> dict[Path, Path]:
    """Each file of ours, and where it goes."""
    return {source() / name: (root or Path("/")) / place for name, place in _SYSTEM.items()}


def user_places(environ: Mapping[str, str], root: Path | None) -> dict[Path, Path]:
    """With `root`: for all users of that system."""
    if root is not None:
        folder = root / "etc/systemd/user"
    else:
        base = environ.get("XDG_CONFIG_HOME", "")
        folder = Path(base if base.startswith("/") else os.path.expanduser("~/.config")) / "systemd/user"
    return {source() / "user" / name: folder / name for name in _USER}


def source() -> Path:
    """Where the wheel has put them, or the checkout that this is."""
    bases = (sysconfig.get_path("data"), site.getuserbase())
    folders = [*(Path(base, "share/jobkeep/systemd") for base in bases), Path(__file__).parents[3] / "systemd"]
    for folder in folders:
        if (folder / "jobkeepd.service").is_file():
            return folder
    raise NotInstalled("the units are missing from this installation: install jobkeep anew")


def programs() -> str:
    """The path of `jobkeep`; that of `jobkeepd` is the same with one letter more."""
    beside = Path(sys.executable).parent / "jobkeep"
    found = str(beside) if beside.exists() else shutil.which("jobkeep")
    if found is None:
        raise NotInstalled("there is no program jobkeep beside this Python, nor in PATH")
    return found


def fitting(unit: str, systemd: int | None) -> str:
    """Without what that version of systemd would call unknown; None: it cannot be told, and only warns."""
    lines = unit.splitlines(keepends=True)
    if systemd is not None and systemd < _KNOWS_SUBGROUP:
        lines = [line for line in lines if not line.startswith("DelegateSubgroup=")]
    return "".join(lines)


def systemd_version() -> int | None:
    """Of this host."""
    try:
        asked = [shutil.which("systemctl") or "", "--version"]
        return int(subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()[1])
    except (OSError, IndexError, ValueError):
        return None


def install(places: Mapping[Path, Path], program: str) -> list[str]:
    """All or, where one file is not ours, none. Raises NotInstalled, OSError."""
    if any(character.isspace() or character in "%'\"\\$" for character in program):
        raise NotInstalled(f"systemd would misread the path {program}: install jobkeep below another one")
    for place in places.values():
        if is_foreign(place):
            raise NotInstalled(f"{place} is not from jobkeep, and was left alone: move it away first")
    version = systemd_version()
    for origin, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.new")
        text = fitting(origin.read_text(encoding="utf-8"), version)
        fresh.write_text(text.replace(_PROGRAMS, program), encoding="utf-8")
        fresh.chmod(0o644)
        fresh.rename(place)
    return [str(place) for place in places.values()]


def remove(places: Mapping[Path, Path]) -> list[str]:
    """All that are ours. Raises OSError."""
    found = [place for place in places.values() if place.exists() and not is_foreign(place)]
    for place in found:
        place.unlink()
    return [str(place) for place in found]


def is_foreign(place: Path) -> bool:
    """Whether what is there is somebody else's."""
    return place.is_symlink() or (place.exists() and not place.read_text("utf-8", "replace").startswith(_MARK))


def _calls(user: bool, uninstall: bool) -> Iterator[str]:
    """Make what was installed known, where systemd runs. It enables and starts nothing."""
    commands = [["systemctl", *(["--user"] if user else []), "daemon-reload"]]
    if not user and not uninstall:
        commands = [["systemd-sysusers", "jobkeep.conf"], ["systemd-tmpfiles", "--create", "jobkeep.conf"], *commands]
    if not os.path.isdir("/run/systemd/system"):
        return
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise NotInstalled(f"the files are there, but {' '.join(command)} failed: {' '.join(said[-1:])}")
        yield " ".join(command)
