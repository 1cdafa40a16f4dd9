"""Several users of one daemon, for real: it has a service uid, and its callers have uids and groups of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from jobkeep.client.plain import PlainConnection
from jobkeep.testing import PrivateDaemon

SERVICE, REACH, SUBMITTERS, ADMINS = 61990, 61979, 61980, 61981  # a uid, and gids; REACH may connect
ANN, BOB, VERA, OTTO, NOBODY = 61001, 61002, 61003, 61004, 65534
ACCESS = f'[access]\nviewers = ["user:{VERA}"]\noperators = ["user:{OTTO}"]\nsubmitters = ["group:{SUBMITTERS}"]\n'
ACCESS += f'admins = ["group:{ADMINS}"]\n'


def become(uid: int, gid: int, *groups: int) -> list[str]:
    more = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", more]


def in_place_of_the_host(runtime: str) -> list[str]:
    """The rest of the command line sees `runtime` as /run/jobkeep, and nobody else does."""
    mounts = 'mount -t tmpfs none /run && mkdir /run/jobkeep && mount --bind "$0" /run/jobkeep && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mounts, runtime]


def others_python() -> str | None:
    """An interpreter that another user can run, and start processes of: ours, or the system's of the same version."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    script = "import subprocess, sys, jobkeepd.main; subprocess.run([sys.executable, '-c', ''], check=True)"
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        with suppress(OSError):
            probe = [*in_place_of_the_host("/tmp"), *become(ANN, ANN), python, "-c", script]
            if subprocess.run(probe, cwd="/", env=ENVIRON, capture_output=True).returncode == 0:
                return python
    return None


ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": ":".join(filter(None, sys.path))}
PYTHON = others_python() or ""
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="needs root, unshare, setpriv, and an installation that other users can run"
)


class HostDaemon(PrivateDaemon):
    """As a service of the host: another user's, whose socket a group may reach."""

    def __init__(self) -> None:
        super().__init__(**ENVIRON)
        self._settings["JOBKEEP_CONFIG"] = str(self.home / "c.toml")
        self.home.chmod(0o711)
        for name, gid, mode in (("run", REACH, 0o750), ("state", SERVICE, 0o700)):
            (self.home / name).mkdir()
            os.chown(self.home / name, SERVICE, gid)
            (self.home / name).chmod(mode)
        self.configure(ACCESS)

    def _command(self) -> list[str]:
        return [*in_place_of_the_host(str(self.socket.parent)), *become(SERVICE, SERVICE), PYTHON, "-m", "jobkeepd"]

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "JOBKEEP_DAEMON_SOCKET": "/run/jobkeep/socket"}

    def configure(self, text: str) -> None:
        (self.home / "c.toml").write_text(text, encoding="utf-8")

    def ask(self, uid: int, groups: tuple[int, ...], *words: str) -> subprocess.CompletedProcess[str]:
        """`jobkeep WORDS…` of somebody."""
        return subprocess.run(
            [*become(uid, uid, REACH, *groups), PYTHON, "-m", "jobkeep.cli", *words],
            cwd="/", env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def says(self, uid: int, groups: tuple[int, ...], method: str, **parameters: Any) -> str:
        """The same without a command line: what is answered to one call, or the short name of the error."""
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.setgroups([REACH, *groups])
                os.setgid(uid)
                os.setuid(uid)
                with closing(PlainConnection(str(self.socket), 30.0)) as connection:
                    os.write(writer, connection.call(f"org.jobkeep.{method}", json.dumps(parameters).encode()))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            reply = json.load(file)
        os.waitpid(child, 0)
        return str(reply["error"]).rpartition(".")[2] if "error" in reply else "yes"

    @property
    def environ(self) -> dict[str, str]:
        return {**ENVIRON, "JOBKEEP_SOCKET": str(self.socket), "JOBKEEP_AUTOSTART": "0"}


@pytest.fixture(scope="module")
def host() -> Iterator[HostDaemon]:
    daemon = HostDaemon()
    with daemon:
        yield daemon


def until_ok(host: HostDaemon, *words: str) -> str:
    done = host.ask(ANN, (SUBMITTERS,), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_each_may_do_what_the_role_allows(host: HostDaemon) -> None:
    """By uid, and by a supplementary group; jobs run as the service user, whoever has submitted them."""
    assert until_ok(host, "call", "os:getuid") == str(SERVICE)
    job = until_ok(host, "run", "-d", "--", "sleep", "600")
    submit = {"spec": {"command": ["true"]}}
    calls: dict[str, dict[str, Any]] = {
        "Jobs.Get": {"id": job}, "Jobs.Submit": submit, "Jobs.Restart": {"id": job}, "Queues.Pause": {"name": "x"},
        "Admin.Backup": {"file": "/nowhere/b"},
    }  # fmt: skip
    no, unknown, invalid = "NotPermitted", "UnknownQueue", "Invalid"
    for uid, groups, answers in (
        (VERA, (), ["yes", no, no, no, no]),
        (BOB, (SUBMITTERS,), ["yes", "yes", no, no, no]),
        (OTTO, (), ["yes", "yes", "yes", unknown, no]),
        (BOB, (SUBMITTERS, ADMINS), ["yes", "yes", "yes", unknown, invalid]),
        (0, (), ["yes", "yes", "yes", unknown, invalid]),
        (BOB, (), [no] * 5),
        (NOBODY, (SUBMITTERS, ADMINS), [no] * 5),
        (SERVICE, (), [no] * 5),
    ):
        assert [host.says(uid, groups, method, **given) for method, given in calls.items()] == answers, (uid, groups)
    assert host.says(ANN, (SUBMITTERS,), "Jobs.Cancel", id=job) == "yes"


def test_a_refusal_has_an_exit_code_and_says_whom_to_ask(host: HostDaemon) -> None:
    """And before it: who asks, and what is needed."""
    done = host.ask(VERA, (), "queue", "pause", "default")

    assert done.returncode == 6
    assert done.stderr == (
        f"jobkeep: user {VERA} is a viewer here; org.jobkeep.Queues.Pause is for an operator\n"
        f"hint: such are root, user:{OTTO}, group:{ADMINS}; "
        "[access] operators in the daemon's configuration names more\n"
    )
    assert json.loads(host.ask(VERA, (), "daemon", "status", "--json").stdout)["role"] == "viewer"


def test_who_is_in_no_group_of_the_directory_cannot_even_connect(host: HostDaemon) -> None:
    """The socket is for the group of its directory, and for nobody else."""
    outsider = subprocess.run(
        [*become(ANN, ANN, SUBMITTERS), PYTHON, "-m", "jobkeep.cli", "ls"],
        cwd="/", env=host.environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert outsider.returncode == 4
    assert "permission denied" in outsider.stderr


def test_a_job_speaks_for_its_run_without_a_role(host: HostDaemon) -> None:
    """And for nothing else: what all submitters could do through their jobs would be anybody's."""
    script = f"{PYTHON} -m jobkeep.cli progress 3 4 && {PYTHON} -m jobkeep.cli daemon stop"
    done = host.ask(ANN, (SUBMITTERS,), "run", "--", "sh", "-c", script)

    assert done.returncode == 6
    assert f"user {SERVICE} has no role here" in done.stderr
    job = json.loads(until_ok(host, "ls", "--all", "--json").splitlines()[0])
    assert job["progress"]["done"] == 3


def test_a_stream_ends_when_its_reader_may_not_look_any_more(host: HostDaemon) -> None:
    """With the refusal that a new call gets; after the next reload he is welcome again."""
    words = [*become(VERA, VERA, REACH), PYTHON, "-m", "jobkeep.cli", "events", "-f", "--after", "0", "--json"]
    stream = subprocess.Popen(
        words, cwd="/", env=host.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert stream.stdout is not None
    assert json.loads(stream.stdout.readline())["seq"] == 1
    host.configure(ACCESS.replace(f"user:{VERA}", f"user:{BOB}"))
    os.kill(host.pid, signal.SIGHUP)
    _, said = stream.communicate(timeout=120)

    assert stream.returncode == 6
    assert f"user {VERA} has no role here" in said
    host.configure(ACCESS)
    assert host.ask(BOB, (ADMINS,), "daemon", "reload").returncode == 0
    assert host.ask(VERA, (), "ls").returncode == 0


def test_jobs_that_wait_are_limited_for_each_user(host: HostDaemon) -> None:
    """By a reload; not for who administers."""
    host.configure(ACCESS + "max_queued = 1\n")
    assert host.says(0, (), "Admin.Reload") == "yes"
    assert host.says(OTTO, (), "Queues.Pause", name="default") == "yes"
    submit = {"spec": {"command": ["true"]}}
    said = [
        host.says(uid, groups, "Jobs.Submit", **submit)
        for uid, groups in ((ANN, (SUBMITTERS,)),) * 2 + ((BOB, (SUBMITTERS,)),) + ((0, ()),) * 2
    ]
    assert said == ["yes", "LimitReached", "yes", "yes", "yes"]
    refused = host.ask(ANN, (SUBMITTERS,), "run", "-d", "true")
    assert refused.returncode == 4
    assert f"user {ANN} has 1 jobs that wait, and max_queued is 1" in refused.stderr
    host.configure(ACCESS)
    assert host.says(0, (), "Admin.Reload") == host.says(OTTO, (), "Queues.Resume", name="default") == "yes"


def test_many_groups_are_no_fewer(host: HostDaemon) -> None:
    """The kernel names more of them than Python asks for at once."""
    done = host.ask(BOB, (*range(70000, 70300), ADMINS), "daemon", "status", "--json")

    assert json.loads(done.stdout)["role"] == "admin"
