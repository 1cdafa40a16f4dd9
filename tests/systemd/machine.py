"""A Debian with a kernel of its own, emulated by qemu: slow, and with all controllers of control groups, whatever this
host has.

It starts without an initial RAM disk, since Debian's kernel for clouds has NVMe and ext4 built in, and without udev.
Commands go to Debian's agent for guests.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import platform
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar, Final

from systemd.box import CLEAN, SUITE, Box, lacking, mask, tree

KERNEL: Final = "linux-image-cloud-amd64"
PACKAGES: Final = (KERNEL, "tiny-initramfs", "qemu-guest-agent")  # the kernel wants something that makes RAM disks
UNUSED: Final = (
    "systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount",
    "ldconfig.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service",
    "systemd-update-done.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "modprobe@configfs.service", "modprobe@fuse.service",
)  # fmt: skip
PORT: Final = "/dev/vport0p1"
AGENT: Final = f"""
[Unit]
After=systemd-modules-load.service
[Service]
ExecStart=/usr/sbin/qemu-ga -m virtio-serial -p {PORT}
Restart=always
RestartSec=200ms
KillMode=process
"""
# The clock is not to be doubted on a busy host; patches of the running kernel, which that brings about, crash qemu's.
COMMAND_LINE: Final = "console=ttyS0 quiet root=/dev/nvme0n1 rw mitigations=off tsc=reliable"


class Machine(Box):
    pace: ClassVar[float] = 5

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, tree(f"{SUITE}-machine", *PACKAGES))
        self._ids = itertools.count(1)
        mask(self.root, *UNUSED)
        (self.root / "etc/modules-load.d/agent.conf").write_text("virtio_pci\nvirtio_console\n")
        units = self.root / "etc/systemd/system"
        (units / "agent.service").write_text(AGENT)
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        (units / "multi-user.target.wants/agent.service").symlink_to("../agent.service")

    @staticmethod
    def missing() -> str | None:
        if platform.machine() != "x86_64":
            return f"the emulated machine runs programs for x86_64, and this host has those for {platform.machine()}"
        qemu = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs", "mmdebstrap": "mmdebstrap"}
        return lacking(qemu)

    def start(self) -> subprocess.Popen[bytes]:
        disk, kernel = self.folder / "disk", self.folder / "kernel"
        if not disk.exists():  # from now on it is what counts
            shutil.copy(next(self.root.glob("boot/vmlinuz-*")), kernel)
            with disk.open("wb") as file:
                file.truncate(2 << 30)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(self.root), str(disk)], check=True)
            shutil.rmtree(self.root)
        with open(self.folder / "console.log", "ab") as console:
            return subprocess.Popen(
                [
                    "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-machine", "q35", "-smp", "1", "-m", "1024",
                    "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none", "-serial", "stdio",
                    "-kernel", str(kernel), "-append", COMMAND_LINE,
                    "-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe",
                    "-device", "nvme,drive=disk,serial=disk", "-device", "virtio-serial-pci",
                    "-chardev", "socket,id=agent,path=agent,server=on,wait=off",
                    "-device", "virtserialport,chardev=agent,name=agent",
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, cwd=self.folder,
            )  # fmt: skip

    def run(self, argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        end = time.monotonic() + timeout
        with contextlib.closing(self._dial()) as agent:
            environ = [f"{name}={value}" for name, value in CLEAN.items()]
            order = {"path": "/usr/bin/env", "arg": argv, "env": environ, "capture-output": True}
            pid = agent.ask("guest-exec", order)["pid"]
            while not (said := agent.ask("guest-exec-status", {"pid": pid}))["exited"]:
                if time.monotonic() > end:
                    raise subprocess.TimeoutExpired(argv, timeout)
                time.sleep(0.05)
        output, errors = (
            base64.b64decode(said.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data")
        )
        return subprocess.CompletedProcess(argv, said.get("exitcode", -said.get("signal", 0)), output, errors)

    def _dial(self) -> Agent:
        if self.host is None or self.host.poll() is not None:
            raise OSError(f"it is not booted: {self.console()}")
        return Agent(self.folder / "agent", next(self._ids))


class Agent:
    """The guest's, as qemu's Guest Agent Protocol has it: an object for each line. Raises OSError."""

    def __init__(self, path: Path, number: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("rb")
            self._send("guest-sync", {"id": number})
            while self._answer().get("return") != number:  # what was asked before, and answered too late
                pass
        except BaseException:
            self._socket.close()
            raise

    def ask(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._send(command, arguments)
        answer = self._answer()
        if "return" not in answer:
            raise OSError(f"{command}: {answer}")
        found: dict[str, Any] = answer["return"]
        return found

    def _send(self, command: str, arguments: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")

    def _answer(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("the machine is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
