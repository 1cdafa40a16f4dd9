"""A host with the built wheel installed, for all tests here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from systemd.box import Box, missing, wheels

PIP = "/opt/jobkeep/bin/pip install --quiet --no-index --find-links /wheels"
EDITED = "/etc/systemd/system/jobkeepd.service.d"  # as `systemctl edit` does it


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    if (why := missing()) is not None:
        pytest.skip(why)
    box = Box(tmp_path_factory.mktemp("box"))
    packages = box.root / "wheels"
    packages.mkdir()
    wheels(packages)
    try:
        box.boot()
        box.sh(f"python3 -m venv /opt/jobkeep && {PIP} 'jobkeep[daemon]'", timeout=200)
        box.sh("ln -s /opt/jobkeep/bin/jobkeep /usr/local/bin/ && jobkeep daemon install")
        box.sh(f"install -d -o jobkeep /srv/jobs && mkdir -p {EDITED}")
        box.sh(f"printf '[Service]\\nReadWritePaths=/srv/jobs\\n' >{EDITED}/work.conf && systemctl daemon-reload")
        yield box
    finally:
        box.off()


@pytest.fixture
def service(box: Box) -> Iterator[Box]:
    """The daemon as installed runs, with nothing of another test's."""
    drop_in(box)
    configure(box)
    box.sh("systemctl restart jobkeepd.socket jobkeepd.service")
    yield box
    drop_in(box)
    configure(box)


def drop_in(box: Box, *lines: str) -> None:
    folder = "/run/systemd/system/jobkeepd.service.d"
    text = "\\n".join(["[Service]", *lines])
    box.sh(f"mkdir -p {folder} && printf '{text}\\n' >{folder}/test.conf && systemctl daemon-reload")


def configure(box: Box, *lines: str) -> None:
    Path(box.root, "etc/jobkeep").mkdir(exist_ok=True)
    Path(box.root, "etc/jobkeep/config.toml").write_text("\n".join(lines))


def submit(box: Box, command: str) -> str:
    return box.sh(f"jobkeep run -d -q -- {command}")


def shown(box: Box, job: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(box.sh(f"jobkeep show --json {job}"))
    return found
