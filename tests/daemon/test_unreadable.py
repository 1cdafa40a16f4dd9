"""A job that cannot be read, with a real daemon."""

from __future__ import annotations

import os
import signal
import sqlite3

from jobkeep.testing import PrivateDaemon

from .conftest import Cli
from .holders import until


def test_its_lock_is_freed_by_force_once_its_processes_are_gone(daemon: PrivateDaemon, cli: Cli) -> None:
    """While they live that is refused, and what ends it is said."""
    job = cli("run", "-d", "--lock", "crm", "--", "sh", "-c", "echo $$ > pid; exec sleep 600").stdout.strip()
    until(lambda: (daemon.home / "pid").exists() and (daemon.home / "pid").read_text().strip())
    daemon.kill()
    (database,) = daemon.home.glob("state/*.sqlite")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE job SET spec = '{' WHERE id = ?", (job,))
    connection.close()
    daemon.start().close()

    refused = cli("lock", "reset", "crm", "--force")
    assert refused.returncode != 0
    assert "its run may live in slot" in refused.stderr
    assert "jobkeep emergency" in refused.stderr
    os.kill(int((daemon.home / "pid").read_text()), signal.SIGKILL)
    done = {}

    def freed() -> bool:
        done["reset"] = cli("lock", "reset", "crm", "--force")
        return done["reset"].returncode == 0

    until(freed)
    assert cli("run", "--lock", "crm", "--", "echo", "mine").stdout == "mine\n"
