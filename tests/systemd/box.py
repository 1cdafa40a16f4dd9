"""A real systemd as PID 1: a Debian tree by mmdebstrap, kept in a cache, and a copy of it booted by systemd-nspawn."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = Path(os.environ.get("JOBKEEP_SYSTEMD_CACHE") or os.path.expanduser("~/.cache/jobkeep-systemd"))
SUITE: Final = os.environ.get("JOBKEEP_SYSTEMD_SUITE", "bookworm")
PACKAGES: Final = (
    "systemd,systemd-sysv,dbus,libpam-systemd,libnss-systemd,python3,python3-venv,procps,iproute2,git,gcc,libc6-dev"
)
PYTHONS: Final = {"bookworm": "3.11", "trixie": "3.13"}
TOOLS: Final = ("systemd-nspawn", "mmdebstrap", "nsenter")
BOOT, STOP = 90.0, 60.0  # seconds
CLEAN: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0",
}  # fmt: skip


def missing() -> str | None:
    """Why no systemd can be booted here."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    packages = "Debian: apt install systemd-container mmdebstrap"
    return f"not installed: {', '.join(lacking)} ({packages})" if lacking else None


def tree() -> Path:
    """The tree that copies are made of; made if there is none. Raises CalledProcessError."""
    root = CACHE / SUITE
    ready = root.with_suffix(".ready")
    if ready.exists():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    if root.exists():
        shutil.rmtree(root)
    mirror = [f"deb {uri} {SUITE} main"] if (uri := _mirror()) else []
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}",
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale")),
            '--aptopt=Acquire::Languages "none"', SUITE, str(root), *mirror,
        ],
        check=True, timeout=1200, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (root / "etc/machine-id").write_text("")  # a fresh one is made at boot
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "getty.target"):
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    default = root / "etc/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")
    ready.touch()
    return root


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


class Box:
    """One booted copy. What it runs has no network but its own loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self._host: subprocess.Popen[bytes] | None = None
        self._leader = 0
        subprocess.run(["cp", "-a", "--reflink=auto", str(tree()), str(self.root)], check=True)

    def boot(self) -> None:
        with open(self.folder / "console.log", "ab") as console:
            self._host = subprocess.Popen(
                [
                    "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine=box{os.getpid()}",
                    "--register=no", "--keep-unit", "--private-users=no", "--private-network", "--resolv-conf=off",
                    "--timezone=off", "--link-journal=no", "--console=pipe", "--boot",
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip
        self.until("test -n \"$(systemctl is-system-running | grep -E 'running|degraded')\"", BOOT)

    def off(self) -> None:
        """As a host's shutdown goes."""
        if self._host is None:
            return
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.sh("systemctl poweroff --no-wall", check=False, timeout=20)
        try:
            self._host.wait(STOP)
        except subprocess.TimeoutExpired:
            self._host.kill()
            self._host.wait()
        self._host, self._leader = None, 0
        for base in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/systemd"):
            for part in ("payload", "supervisor"):  # nspawn leaves its two groups behind, which are empty now
                for folder, _, _ in os.walk(f"{base}/{part}", topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(folder)

    def sh(self, script: str, *, user: str = "", check: bool = True, timeout: float = 60) -> str:
        """What a shell says in there, its errors included where it fails."""
        words = ["nsenter", "-t", str(self._init()), "-m", "-u", "-i", "-n", "-p", "-C", "--root", "--wdns=/"]
        words += ["runuser", "-u", user, "--"] if user else []
        done = subprocess.run(
            [*words, "sh", "-c", script],
            capture_output=True, text=True, errors="replace", timeout=timeout, env=CLEAN, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{script}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}")
        return done.stdout.strip()

    def until(self, script: str, patience: float = 40) -> str:
        """Until it succeeds."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.sh(script)
            except (AssertionError, OSError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"not within {patience:g} s: {error}") from None
            time.sleep(0.1)

    def journal(self) -> str:
        if not self._leader:
            return (self.folder / "console.log").read_text(errors="replace")[-2000:]
        return self.sh("journalctl -u jobkeepd -n 30 -o cat --no-pager", check=False)

    def _init(self) -> int:
        assert self._host is not None
        if not self._leader:
            children = Path(f"/proc/{self._host.pid}/task/{self._host.pid}/children").read_text().split()
            if not children:
                raise OSError("nspawn has not started it yet" if self._host.poll() is None else self.journal())
            self._leader = int(children[0])
        return self._leader
