"""A real systemd as PID 1: a Debian tree by mmdebstrap, kept in a cache, and what a booted copy of it can be asked."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = Path(os.environ.get("JOBKEEP_SYSTEMD_CACHE") or os.path.expanduser("~/.cache/jobkeep-systemd"))
SUITE: Final = os.environ.get("JOBKEEP_SYSTEMD_SUITE", "bookworm")
PACKAGES: Final = (
    "systemd,systemd-sysv,dbus,libpam-systemd,libnss-systemd,python3,python3-venv,procps,iproute2,git,gcc,libc6-dev"
)
PYTHONS: Final = {"bookworm": "3.11", "trixie": "3.13"}
UNUSED: Final = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "getty.target")
BOOT, STOP = 90.0, 60.0  # seconds
CLEAN: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0",
}  # fmt: skip


def lacking(tools: dict[str, str]) -> str | None:
    """Why no systemd can be booted here, if so; `tools`: each program, and the Debian package that it is from."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    names = [tool for tool in tools if shutil.which(tool) is None]
    packages = " ".join(sorted({tools[name] for name in names}))
    return f"not installed: {', '.join(names)} (Debian: apt install {packages})" if names else None


def tree(name: str, *more: str) -> Path:
    """The tree of that name, which copies are made of, with `more` packages; made if there is none.

    Raises CalledProcessError.
    """
    root = CACHE / name
    ready = root.with_suffix(".ready")
    if ready.exists():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    if root.exists():
        shutil.rmtree(root)
    mirror = [f"deb {uri} {SUITE} main"] if (uri := _mirror()) else []
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join((PACKAGES, *more))}",
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale")),
            '--aptopt=Acquire::Languages "none"', SUITE, str(root), *mirror,
        ],
        check=True, timeout=1200, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (root / "etc/machine-id").write_text("")  # a fresh one is made at boot
    mask(root, *UNUSED)
    default = root / "etc/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")
    ready.touch()
    return root


def mask(root: Path, *units: str) -> None:
    for unit in units:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def _mirror() -> str | None:
    """The one that this host's apt uses; mmdebstrap's own where this is no Debian."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)", "Created-By: Packages"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return next((line.partition("|")[2] for line in said.splitlines() if line.startswith("Debian|")), None)
    return None


def wheels(folder: Path) -> None:
    """The wheel of this checkout, and what its daemon needs on the guest's Python."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=300)
    (wheel,) = folder.glob("jobkeep-*.whl")
    subprocess.run(
        [
            *pip, "download", "--only-binary=:all:", "--python-version", PYTHONS[SUITE], "--dest", str(folder),
            "--find-links", str(folder), f"{wheel}[daemon]",
        ],
        check=True, timeout=300,
    )  # fmt: skip


class Box(ABC):
    """One booted copy of a tree. What it runs has no network but its own loopback."""

    host: subprocess.Popen[bytes] | None = None
    pace: ClassVar[float] = 1  # how many times longer than on this host things may take

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(self.root)], check=True)

    @staticmethod
    @abstractmethod
    def missing() -> str | None:
        """Why there can be none here."""

    @abstractmethod
    def start(self) -> subprocess.Popen[bytes]:
        """The process that ends when it is off."""

    @abstractmethod
    def run(self, argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        """Raises OSError while it cannot be reached."""

    def boot(self) -> None:
        self.host = self.start()
        self.until("test -n \"$(systemctl is-system-running | grep -E 'running|degraded')\"", BOOT)

    def off(self) -> None:
        """As a host's shutdown goes."""
        if self.host is None:
            return
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.sh("systemctl poweroff --no-wall", check=False, timeout=20)
        try:
            self.host.wait(STOP * self.pace)
        except subprocess.TimeoutExpired:
            self.host.kill()
            self.host.wait()
        self.host = None

    def sh(self, script: str, *, user: str = "", check: bool = True, timeout: float = 60) -> str:
        """What a shell says in there, its errors included where it fails."""
        words = ["runuser", "-u", user, "--"] if user else []
        done = self.run([*words, "sh", "-c", script], timeout * self.pace)
        if check and done.returncode:
            raise AssertionError(f"{script}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}")
        return done.stdout.strip()

    def until(self, script: str, patience: float = 40) -> str:
        """Until it succeeds."""
        end = time.monotonic() + patience * self.pace
        while True:
            try:
                return self.sh(script)
            except (AssertionError, OSError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"not within {patience * self.pace:g} s: {error}") from None
            time.sleep(0.1)

    def put(self, path: str, text: str) -> None:
        self.sh(f"mkdir -p {os.path.dirname(path)} && printf %s {shlex.quote(text)} >{path}")

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")[-2000:]

    def journal(self) -> str:
        return self.sh("journalctl -u jobkeepd -n 30 -o cat --no-pager", check=False)
