"""A backup of the host's daemon, made while jobs run, is put back by root while the unit is stopped."""

from __future__ import annotations

import pytest

from systemd.box import Box
from systemd.conftest import shown

pytestmark = pytest.mark.systemd
STATE = "/var/lib/jobkeep"


def begun(box: Box, script: str) -> str:
    job = box.sh(f"jobkeep run -d -q -- sh -c '{script}'")
    box.until(f"jobkeep show --json {job} | grep -q '\"state\":\"running\"'")
    return job


def test_a_backup_is_put_back_by_root(service: Box) -> None:
    """What had ended is there with its result, what runs still is adopted, what has ended since is lost, and what was
    submitted since is gone; all of the state belongs to the service as before.
    """
    service.sh("rm -f /srv/jobs/*")
    done = service.sh("jobkeep run -q -- sh -c 'echo said; exit 3' >/dev/null; jobkeep ls --all -q | head -1")
    lives = begun(service, "while ! test -e /srv/jobs/enough; do sleep 0.1; done; exit 4")
    ends = begun(service, "while ! test -e /srv/jobs/soon; do sleep 0.1; done; exit 5")
    rights = f"cd {STATE} && stat -c '%n %U %G %a' . jobs.sqlite"
    before = service.sh(rights)

    service.sh("jobkeep daemon backup /srv/jobs/then.db")
    later = service.sh("jobkeep run -d -q -- true; touch /srv/jobs/soon")
    service.sh(f"jobkeep wait {later} {ends}", check=False)
    process = service.sh("pgrep -u jobkeep -o -f '^sh -c while'")
    service.sh("systemctl stop jobkeepd.service jobkeepd.socket")
    said = service.sh("jobkeep daemon restore /srv/jobs/then.db")
    assert service.sh(f"find {STATE} /run/jobkeep ! -user jobkeep") == "", said
    assert service.sh(rights) == before
    service.sh("systemctl start jobkeepd.socket jobkeepd.service")

    assert shown(service, done)["outcome"]["exit_code"] == 3  # type: ignore[index]
    assert service.sh(f"jobkeep logs {done}") == "said"
    assert service.sh(f"jobkeep show {later} 2>&1; echo exit $?").endswith("exit 3")
    assert shown(service, lives)["state"] == "running"
    assert service.sh("pgrep -u jobkeep -o -f '^sh -c while'") == process
    service.sh(f"touch /srv/jobs/enough; jobkeep wait {lives}", check=False)
    assert shown(service, lives)["outcome"]["exit_code"] == 4  # type: ignore[index]
    assert shown(service, ends)["outcome"]["kind"] == "lost"  # type: ignore[index]
    assert service.sh("jobkeep run -- id -un") == "jobkeep"
