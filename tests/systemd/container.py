"""A Debian booted by systemd-nspawn: quick, with the kernel and the controllers of this host."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from systemd.box import CLEAN, SUITE, Box, lacking, tree


class Container(Box):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, tree(SUITE))
        self._leader = 0

    @staticmethod
    def missing() -> str | None:
        return lacking({"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "nsenter": "util-linux"})

    def start(self) -> subprocess.Popen[bytes]:
        with open(self.folder / "console.log", "ab") as console:
            return subprocess.Popen(
                [
                    "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine=box{os.getpid()}",
                    "--register=no", "--keep-unit", "--private-users=no", "--private-network", "--resolv-conf=off",
                    "--timezone=off", "--link-journal=no", "--console=pipe", "--boot",
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip

    def off(self) -> None:
        super().off()
        self._leader = 0
        for base in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/systemd"):
            for part in ("payload", "supervisor"):  # nspawn leaves its two groups behind, which are empty now
                for folder, _, _ in os.walk(f"{base}/{part}", topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(folder)

    def run(self, argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", "-t", str(self._init()), "-m", "-u", "-i", "-n", "-p", "-C", "--root", "--wdns=/"]
        return subprocess.run(
            [*words, *argv],
            capture_output=True, text=True, errors="replace", timeout=timeout, env=CLEAN, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _init(self) -> int:
        if self.host is None:
            raise OSError("it is not booted")
        if not self._leader:
            children = Path(f"/proc/{self.host.pid}/task/{self.host.pid}/children").read_text().split()
            if not children:
                raise OSError("nspawn has not started it yet" if self.host.poll() is None else self.console())
            self._leader = int(children[0])
        return self._leader
