"""The units under a real systemd: what they allow, how they start, what lives on when the daemon does not."""

from __future__ import annotations

import json

import pytest

from systemd.box import SUITE, Box
from systemd.conftest import PIP, configure, drop_in, shown, submit

pytestmark = pytest.mark.systemd
EXPOSURE = 2.7
COUNTS = "i=0; while ! test -e /srv/jobs/enough; do i=$((i+1)); echo line $i; sleep 0.05; done; exit 7"
SLOW = """
async def go(ctx):
    for number in range(1000):
        await ctx.checkpoint({"number": number})
        await ctx.sleep(0.1)
"""
ORDINARY = {
    "python": "python3 -c 'import ssl, sqlite3, multiprocessing as m; m.Lock()'",
    "venv": "python3 -m venv --without-pip /tmp/venv-$$ && /tmp/venv-$$/bin/python -c 1",
    "callback": "python3 -c 'import ctypes; ctypes.CFUNCTYPE(None)(lambda: 0)()'",
    "processes": "python3 -c 'import multiprocessing as m; m.Pool(2).map(abs, [1])'",
    "bash": "bash -c 'set -o pipefail; (sleep 0.1 & wait); diff <(echo a) <(echo a); seq 9 | sort -r | head -1'",
    "own group": "touch /tmp/group-$$ && chgrp jobkeep /tmp/group-$$",
    "git": "cd $(mktemp -d) && git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x",
    "cc": "cd $(mktemp -d) && echo 'int main(void){return 0;}' >a.c && cc a.c && ./a.out",
    "limits": "bash -c 'ulimit -n 512; ulimit -v 4000000; nice -n 5 true; taskset -c 0 true'",
    "loopback": (
        "python3 -c 'import socket; at = socket.create_server((\"127.0.0.1\", 0)); "
        "socket.create_connection(at.getsockname())'"
    ),
    "addresses": "ip link show lo",
    "work": "echo x >/srv/jobs/file-$$",
    "tmp": "echo x >/var/tmp/file-$$ && test -e /tmp/of-the-host",
    "proc": "grep -q MemTotal /proc/meminfo && ps -e | grep -q systemd",
}


def main_pid(box: Box) -> int:
    return int(box.sh("systemctl show -p MainPID --value jobkeepd"))


def another_main(box: Box, former: int) -> int:
    """That of the daemon which has taken the place of `former`, and serves."""
    box.until(
        f'p=$(systemctl show -p MainPID --value jobkeepd); test "$p" != {former} -a "$p" != 0 '
        "&& test $(systemctl is-active jobkeepd) = active"
    )
    return main_pid(box)


def test_systemd_finds_nothing_wrong_with_the_units(box: Box) -> None:
    """`systemd-analyze verify` says nothing about any unit, of the host and of users."""
    units = "/opt/jobkeep/share/jobkeep/systemd"
    said = box.sh(
        "systemd-analyze verify jobkeepd.service jobkeepd.socket 2>&1; mkdir -p /tmp/user && "
        f"jobkeep daemon install --user --root /tmp/user >/dev/null && test -d {units} && "
        "XDG_RUNTIME_DIR=/run systemd-analyze --user verify /tmp/user/etc/systemd/user/jobkeepd.s* 2>&1"
    )

    assert "jobkeep" not in said, said


def test_the_service_is_exposed_to_little(box: Box) -> None:
    """`systemd-analyze security` finds an exposure of at most 2.7."""
    said = box.sh("systemd-analyze security --offline=yes jobkeepd.service | tail -1 | grep -oE '[0-9]+[.][0-9]+'")

    assert float(said) <= EXPOSURE


def test_a_first_call_starts_the_daemon(box: Box) -> None:
    """While only the socket is there, a call waits for the daemon that it starts; status and journal name it."""
    box.sh("systemctl stop jobkeepd.service jobkeepd.socket; systemctl start jobkeepd.socket")
    assert box.sh("systemctl is-active jobkeepd.service", check=False) == "inactive"

    assert box.sh("jobkeep run -- id -un") == "jobkeep"

    assert box.sh("systemctl is-active jobkeepd.service") == "active"
    box.until("systemctl show -p StatusText --value jobkeepd | grep -qx '0 running, 0 queued'")
    line = box.sh("journalctl _SYSTEMD_UNIT=jobkeepd.service SYSLOG_IDENTIFIER=jobkeepd -o cat -n 1 --no-pager")
    assert json.loads(line)["event"] == "ready"


def test_a_job_outlives_whatever_ends_the_daemon(service: Box) -> None:
    """Through restart, kill -9, a watchdog's kill and an upgrade a job keeps its process; output and exit are right."""
    drop_in(service, "WatchdogSec=3s")
    service.sh("systemctl restart jobkeepd")
    service.sh("rm -f /srv/jobs/enough")
    job = submit(service, f"sh -c '{COUNTS}'")
    leader = "pgrep -u jobkeep -f '^sh -c i=0'"
    process = service.until(leader)
    main = main_pid(service)

    service.sh("systemctl restart jobkeepd")
    main = another_main(service, main)
    service.sh("systemctl kill -s KILL --kill-who=main jobkeepd")
    main = another_main(service, main)
    service.sh("systemctl kill -s STOP --kill-who=main jobkeepd")  # as a loop that hangs
    main = another_main(service, main)
    assert "watchdog" in service.sh("journalctl -u jobkeepd -n 40 -o cat --no-pager").lower()
    service.sh(f"{PIP} --force-reinstall --no-deps jobkeep && jobkeep daemon install", timeout=200)
    service.sh("systemctl restart jobkeepd")
    another_main(service, main)
    assert service.sh(leader) == process

    service.sh("touch /srv/jobs/enough")
    service.sh(f"jobkeep wait {job} --timeout 60s >/dev/null", check=False)
    said = service.sh(f"jobkeep logs {job}").splitlines()
    assert len(said) > 1
    assert said == [f"line {number}" for number in range(1, len(said) + 1)]
    found = shown(service, job)
    assert found["state"] == "failed"
    assert found["outcome"]["exit_code"] == 7  # type: ignore[index]
    assert [run["number"] for run in found["runs"]] == [1]  # type: ignore[attr-defined]


def test_a_loop_that_turns_is_left_alone(service: Box) -> None:
    """A daemon is not killed while it says often enough that it lives."""
    drop_in(service, "WatchdogSec=2s")
    service.sh("systemctl restart jobkeepd")
    main = main_pid(service)

    service.sh("jobkeep run -- sleep 5")

    assert main_pid(service) == main


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_jobs_work(service: Box, name: str) -> None:
    """What jobs usually do, the units allow; directories to work in are named in a drop-in."""
    service.sh("touch /tmp/of-the-host")
    service.put("/srv/job.sh", ORDINARY[name])

    said = service.sh("jobkeep run -- bash -e /srv/job.sh 2>&1; echo exit $?")

    assert said.endswith("exit 0"), said


def test_a_job_lives_on_when_the_daemon_is_stopped(service: Box) -> None:
    """By default `systemctl stop` ends the daemon alone, and the next one adopts what runs."""
    job = submit(service, "sh -c 'sleep 4; exit 5'")
    service.until(f"jobkeep show --json {job} | grep -q '\"state\":\"running\"'")

    service.sh("systemctl stop jobkeepd.service jobkeepd.socket")
    service.sh("pgrep -u jobkeep -f 'sleep 4'")
    service.sh("systemctl start jobkeepd.socket jobkeepd.service")

    service.sh(f"jobkeep wait {job}", check=False)
    assert shown(service, job)["outcome"]["exit_code"] == 5  # type: ignore[index]


def test_a_stop_drains_where_it_is_told_to(service: Box) -> None:
    """With on_stop = "drain" `systemctl stop` interrupts a function at its checkpoint, and the next start goes on."""
    service.put("/srv/slow.py", SLOW)
    configure(service, "[daemon]", 'on_stop = "drain"')
    service.sh("systemctl restart jobkeepd")
    job = service.sh("jobkeep call -d -q --cwd /srv slow:go")
    service.until(f"jobkeep show --json {job} | grep -q '\"state\":\"running\"'")

    service.sh("systemctl stop jobkeepd.service jobkeepd.socket")
    service.sh("systemctl start jobkeepd.socket jobkeepd.service")

    assert shown(service, job)["runs"][0]["outcome"] == "interrupted"  # type: ignore[index]
    service.sh(f"jobkeep cancel --force {job}")


def test_a_reload_reads_the_configuration_anew(service: Box) -> None:
    """`systemctl reload` returns, and the same process follows the new configuration."""
    main = main_pid(service)
    configure(service, "[queues.night]", "limit = 1")

    service.sh("systemctl reload jobkeepd")

    service.until("jobkeep queue ls | grep -q night")
    assert main_pid(service) == main


def test_a_user_has_a_daemon_of_its_own(box: Box) -> None:
    """`daemon install --user` and `systemctl --user` give a daemon whose jobs are the user's, and outlive it."""
    box.sh("id alice 2>/dev/null || useradd -m alice; loginctl enable-linger alice")
    own = "export XDG_RUNTIME_DIR=/run/user/$(id -u); cd; "
    box.until("test -S /run/user/$(id -u alice)/systemd/private")
    box.sh(f"{own} jobkeep daemon install --user && systemctl --user start jobkeepd.socket", user="alice")

    assert box.sh(f"{own} jobkeep run -- id -un", user="alice") == "alice"
    job = box.sh(f"{own} jobkeep run -d -q -- sh -c 'sleep 3; exit 4'", user="alice")
    box.sh(f"{own} systemctl --user restart jobkeepd", user="alice")
    box.sh(f"{own} jobkeep wait {job}", user="alice", check=False)

    found = json.loads(box.sh(f"{own} jobkeep show --json {job}", user="alice"))
    assert found["outcome"]["exit_code"] == 4


def test_the_groups_of_the_host_submit_and_administer(service: Box) -> None:
    """The group jobkeep submits, jobkeep-admin does everything, others do not even reach the socket."""
    service.sh("for u in bob carol; do id $u 2>/dev/null || useradd -m $u; done")
    service.sh("usermod -G jobkeep bob; id dora 2>/dev/null || useradd -m -G jobkeep,jobkeep-admin dora")

    def asked(user: str, words: str) -> str:
        return service.sh(f"JOBKEEP_AUTOSTART=0 jobkeep {words} 2>&1; echo exit $?", user=user)

    assert asked("bob", "run -- id -un") == "jobkeep\nexit 0"
    assert asked("bob", "daemon reload").endswith("exit 6")
    assert asked("dora", "daemon reload").endswith("exit 0")
    assert asked("carol", "ls").endswith("exit 4")
    assert asked("jobkeep", "daemon status | grep -i you") == "you are   submitter\nexit 0"


@pytest.mark.skipif(SUITE == "bookworm", reason="varlinkctl comes with systemd 255")
def test_varlinkctl_calls_the_daemon(service: Box) -> None:
    """systemd's own client introspects the daemon, and calls it."""
    assert "interface org.jobkeep.Admin" in service.sh("varlinkctl introspect /run/jobkeep/socket org.jobkeep.Admin")
    assert '"version"' in service.sh("varlinkctl call /run/jobkeep/socket org.jobkeep.Admin.Status '{}'")


def test_a_shutdown_of_the_host_drains(service: Box) -> None:
    """Whatever on_stop says, a job that is about to end does so before the host goes, and is known after its start."""
    job = submit(service, "sh -c 'sleep 4; exit 6'")
    service.until(f"jobkeep show --json {job} | grep -q '\"state\":\"running\"'")

    service.off()
    service.boot()

    service.sh("systemctl start jobkeepd.socket jobkeepd.service")
    assert shown(service, job)["outcome"]["exit_code"] == 6  # type: ignore[index]
