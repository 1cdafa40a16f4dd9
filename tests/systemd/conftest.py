"""A host with the built wheel installed, for all tests here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from systemd.box import Box, wheels
from systemd.container import Container
from systemd.machine import Machine

PIP = "/opt/jobkeep/bin/pip install --quiet --no-index --find-links /wheels"
INSTALL = f"python3 -m venv /opt/jobkeep && {PIP} 'jobkeep[daemon]' && ln -s /opt/jobkeep/bin/jobkeep /usr/local/bin/"
EDITED = "/etc/systemd/system/jobkeepd.service.d"  # as `systemctl edit` does it


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    yield from _booted(Container, tmp_path_factory.mktemp("box"))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    yield from _booted(Machine, tmp_path_factory.mktemp("machine"))


def _booted(kind: type[Container | Machine], folder: Path) -> Iterator[Box]:
    if (why := kind.missing()) is not None:
        pytest.skip(why)
    box = kind(folder)
    packages = box.root / "wheels"
    packages.mkdir()
    wheels(packages)
    subprocess.run(["chroot", str(box.root), "sh", "-c", INSTALL], check=True, timeout=300)
    try:
        box.boot()
        box.sh(f"jobkeep daemon install && install -d -o jobkeep /srv/jobs && mkdir -p {EDITED}")
        box.sh(f"printf '[Service]\\nReadWritePaths=/srv/jobs\\n' >{EDITED}/work.conf && systemctl daemon-reload")
        yield box
    finally:
        box.off()


@pytest.fixture
def service(box: Box) -> Iterator[Box]:
    """The daemon as installed runs, with nothing of another test's."""
    drop_in(box)
    configure(box)
    # quick tests would restart them more often than a host may, five times in ten seconds: the count begins anew
    box.sh("for verb in reset-failed restart; do systemctl $verb jobkeepd.socket jobkeepd.service; done")
    yield box
    drop_in(box)
    configure(box)


def drop_in(box: Box, *lines: str) -> None:
    folder = "/run/systemd/system/jobkeepd.service.d"
    text = "\\n".join(["[Service]", *lines])
    box.sh(f"mkdir -p {folder} && printf '{text}\\n' >{folder}/test.conf && systemctl daemon-reload")


def configure(box: Box, *lines: str) -> None:
    box.put("/etc/jobkeep/config.toml", "\n".join(lines))


def submit(box: Box, command: str) -> str:
    return box.sh(f"jobkeep run -d -q -- {command}")


def shown(box: Box, job: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(box.sh(f"jobkeep show --json {job}"))
    return found
