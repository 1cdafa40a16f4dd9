"""What systemd says by the environment, and where its units go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobkeepd import arguments, service
from jobkeepd.commands import install
from jobkeepd.errors import BadConfig

PID = 42


def test_a_socket_is_taken_that_is_meant_for_this_process() -> None:
    """By LISTEN_PID: one that is meant for a process we descend from is not ours."""
    assert service.handed_over({"LISTEN_PID": "42", "LISTEN_FDS": "1"}, PID) == 3
    assert service.handed_over({"LISTEN_PID": "41", "LISTEN_FDS": "1"}, PID) is None
    assert service.handed_over({}, PID) is None


def test_several_sockets_are_a_mistake() -> None:
    """The daemon listens on one, and says so."""
    with pytest.raises(BadConfig, match="hands over 2 sockets"):
        service.handed_over({"LISTEN_PID": "42", "LISTEN_FDS": "2"}, PID)


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_life_is_told_twice_as_often_as_asked_for(environ: dict[str, str], interval: float | None) -> None:
    """Where systemd asks this process for it, and only there."""
    assert service.watchdog(environ, PID) == interval


def test_the_status_line_counts_over_all_queues() -> None:
    """A job that is being cancelled still runs."""
    line = service.status_line({("a", "running"): 2, ("b", "cancelling"): 1, ("b", "queued"): 9, ("a", "failed"): 5})

    assert line == "3 running, 9 queued"


def test_a_unit_has_a_configuration_of_its_own(tmp_path: Path) -> None:
    """$CONFIGURATION_DIRECTORY/config.toml, if there is one, and never that of the service's user."""
    environ = {"CONFIGURATION_DIRECTORY": str(tmp_path), "XDG_CONFIG_HOME": "/elsewhere"}
    assert arguments.default_file(environ) is None

    (tmp_path / "config.toml").touch()

    assert arguments.default_file(environ) == tmp_path / "config.toml"


def test_units_are_installed_below_a_root_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The units name the installed programs; --uninstall leaves nothing behind. Either may be done again."""
    for _ in range(2):
        assert install.run([f"--root={tmp_path}"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    unit = (tmp_path / "etc/systemd/system/jobkeepd.service").read_text()

    assert len(report["files"]) == 4
    assert report["called"] == []
    assert f"ExecStart={install.programs()}d\n" in unit
    assert "/usr/bin/jobkeep" not in unit or install.programs() == "/usr/bin/jobkeep"
    for _ in range(2):
        assert install.run([f"--root={tmp_path}", "--uninstall"]) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("systemd", "told"), [(252, False), (254, True), (None, True)])
def test_an_old_systemd_is_not_told_what_it_does_not_know(systemd: int | None, told: bool) -> None:
    """A group of the daemon's own, which limits need; where the version is not known it is told, and warns at most."""
    for name in ("jobkeepd.service", "user/jobkeepd.service"):
        unit = (Path(__file__).parents[2] / "systemd" / name).read_text()
        fitting = install.fitting(unit, systemd)
        assert ("DelegateSubgroup=daemon\n" in fitting) == told
        assert fitting.replace("DelegateSubgroup=daemon\n", "") == unit.replace("DelegateSubgroup=daemon\n", "")


def test_a_file_of_somebody_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one place is taken, nothing is installed; and all the others are removed."""
    theirs, ours = (tmp_path / "etc/systemd/user" / name for name in ("jobkeepd.socket", "jobkeepd.service"))
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Socket]\n")

    assert install.run([f"--root={tmp_path}", "--user"]) == 1
    assert f"{theirs} is not from jobkeep" in capsys.readouterr().err
    assert not ours.exists()
    theirs.unlink()
    assert install.run([f"--root={tmp_path}", "--user"]) == 0
    theirs.write_text("[Socket]\n")
    capsys.readouterr()
    assert install.run([f"--root={tmp_path}", "--user", "--uninstall"]) == 1
    report, said = capsys.readouterr()
    assert (json.loads(report)["files"], json.loads(report)["left"]) == ([str(ours)], [str(theirs)])
    assert f"{theirs} is not from jobkeep, and was left alone" in said

    assert os.listdir(theirs.parent) == ["jobkeepd.socket"]
    assert theirs.read_text() == "[Socket]\n"


def test_the_command_line_says_what_was_left(tmp_path: Path) -> None:
    """With the others gone, and an exit code for scripts."""
    theirs = tmp_path / "etc/systemd/user/jobkeepd.socket"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Socket]\n")
    ours = theirs.with_name("jobkeepd.service")
    ours.write_text("# jobkeep: a unit\n")

    words = ["daemon", "install", "--user", "--uninstall", f"--root={tmp_path}"]
    done = subprocess.run([sys.executable, "-m", "jobkeep.cli", *words], capture_output=True, text=True, timeout=120)

    assert done.returncode == 1
    assert done.stdout == f"removed: {ours}\n"
    assert f"{theirs} is not from jobkeep, and was left alone" in done.stderr


@pytest.mark.parametrize("program", ["/opt/my tools/jobkeep", "/opt/100%/jobkeep"])
def test_a_path_that_a_unit_would_misread_is_refused(tmp_path: Path, program: str) -> None:
    """Rather than installing a unit that starts something else."""
    with pytest.raises(install.NotInstalled, match="misread"):
        install.install(install.system_places(tmp_path), program)
