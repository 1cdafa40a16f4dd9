"""`jobkeep daemon check-config`: all mistakes at once, or what the configuration comes to and where it is from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from jobkeepd.commands.check_config import Value, check
from jobkeepd.values import HIDDEN

HOME = {"XDG_STATE_HOME": "/var/lib/u", "XDG_RUNTIME_DIR": "/run/u"}


def checked(folder: Path, text: str, **environ: str) -> dict[str, Value]:
    file = folder / "c.toml"
    file.write_text(text, encoding="utf-8")
    report = check(file, {**HOME, **environ}, cpus=4, uid=1000)
    assert (report.ok, report.file, report.problems) == (True, str(file), [])
    return {value.key: value for value in report.values}


def test_every_value_says_where_it_is_from(tmp_path: Path) -> None:
    """Default, file or environment, which wins: also of queues, and of the directories that systemd gives."""
    values = checked(
        tmp_path,
        '[jobs]\ngrace = "3s"\non_lost = "resume"\n[queues.io]\nlimit = 3\n[queues."a.b_c"]\nlimit = 4\n',
        JOBKEEP_JOBS_GRACE="7s", JOBKEEP_QUEUES_IO_AGEING="2h", STATE_DIRECTORY="/var/lib/jobkeep:/other",
        JOBKEEP_JOBS_="", JOBKEEP_SOCKET="/s",
    )  # fmt: skip
    found = {key: (value.value, value.source, value.where) for key, value in values.items()}

    assert found["jobs.grace"] == (7.0, "environment", "JOBKEEP_JOBS_GRACE")
    assert found["jobs.on_lost"] == ("resume", "file", None)
    assert found["jobs.on_stall"] == ("alert", "default", None)
    assert found["queues.default.limit"] == (4, "default", None)
    assert found["queues.io.limit"] == (3, "file", None)
    assert found["queues.io.ageing"] == (7200.0, "environment", "JOBKEEP_QUEUES_IO_AGEING")
    assert found["queues.a.b_c.limit"] == (4, "file", None)
    assert found["daemon.state_dir"] == ("/var/lib/jobkeep", "environment", "STATE_DIRECTORY")
    assert found["daemon.runtime_dir"] == ("/run/u/jobkeep", "default", None)


def test_variables_of_processes_are_not_shown(tmp_path: Path) -> None:
    """They may be secrets; that they are set is told."""
    values = checked(tmp_path, '[sessions.b]\ncommand = ["true"]\nenv = {TOKEN = "s3cret"}\n')

    assert values["sessions.b.env"].value == {"TOKEN": HIDDEN}
    assert "s3cret" not in repr(values)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Exit code 2: each on a line of its own, or as JSON; where jobkeepd cannot run, a line says what to install."""
    file = tmp_path / "c.toml"
    file.write_text('[jobs]\ngrace = "x"\n[daemon]\nlog_level = "loud"\n[nonsense]\n', encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobkeep.cli", "daemon", "check-config", f"--config={file}", *words]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, timeout=120)

    told = run()
    assert (told.returncode, told.stdout) == (2, "")
    assert sorted(line.split(": ")[2].split(" = ")[0] for line in told.stderr.splitlines()) == [
        "[daemon] log_level", "[jobs] grace", "[nonsense]",
    ]  # fmt: skip
    report = json.loads(run("--json").stdout)
    assert (report["ok"], len(report["problems"]), report["values"]) == (False, 3, [])

    (tmp_path / "aiosqlite.py").write_text("raise ModuleNotFoundError(name='structlog')\n", encoding="utf-8")
    (tmp_path / "structlog.py").write_text("raise ModuleNotFoundError(name='structlog')\n", encoding="utf-8")
    bare = run(PYTHONPATH=str(tmp_path))
    assert (bare.returncode, bare.stdout) == (1, "")
    assert bare.stderr.startswith("jobkeepd: structlog is not installed\nhint: pip install 'jobkeep[daemon]'\n")
