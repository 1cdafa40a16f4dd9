"""What a kernel makes of the control groups of jobs where it has all controllers: in an emulated machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from systemd.box import SUITE, Box
from systemd.conftest import shown

pytestmark = pytest.mark.controllers
divided = pytest.mark.skipif(SUITE == "bookworm", reason="DelegateSubgroup= comes with systemd 254")
UNIT = "/sys/fs/cgroup/system.slice/jobkeepd.service"
GREEDY = 'python3 -c "len(b\\"x\\" * (200 << 20))"'


@pytest.fixture
def host(machine: Box) -> Iterator[Box]:
    """With a daemon, and after it without jobs."""
    machine.sh("rm -f /srv/jobs/*; systemctl start jobkeepd.socket jobkeepd.service")
    yield machine
    machine.sh("jobkeep cancel --force $(jobkeep ls -q) 2>&1", check=False)


def main_pid(host: Box) -> str:
    return host.sh("systemctl show -p MainPID --value jobkeepd")


def group_of(host: Box, pid: str) -> str:
    return "/sys/fs/cgroup" + host.sh(f"grep -o '/.*' /proc/{pid}/cgroup")


def begun(host: Box, options: str, script: str) -> tuple[str, str]:
    """A job, and the process that leads it."""
    host.sh("rm -f /srv/jobs/leader")
    host.put("/srv/jobs/job.sh", f"echo $$ >/srv/jobs/leader\n{script}\n")
    job = host.sh(f"jobkeep run -d -q {options} -- sh /srv/jobs/job.sh")
    return job, host.until("test -s /srv/jobs/leader && cat /srv/jobs/leader")


def ended(host: Box, job: str) -> dict[str, object]:
    host.sh(f"jobkeep wait {job} --timeout 200s >/dev/null", check=False)
    outcome = shown(host, job)["outcome"]
    assert isinstance(outcome, dict)
    return outcome


def number(host: Box, file: str, key: str) -> int:
    return int(host.sh(f"grep -oP '^{key} \\K.*' {file}"))


@divided
def test_a_run_that_takes_more_memory_than_its_limit_is_ended_alone(host: Box) -> None:
    """By the kernel, with all of its processes; its record says so, and neither daemon nor other jobs lose anything."""
    main = main_pid(host)
    other, leader = begun(host, "--memory 64M", "exec sleep 1000")

    outcome = ended(host, host.sh(f"jobkeep run -d -q --memory 64M -- sh -c '{GREEDY}; echo lives on'"))

    assert outcome["error"]["type"] == "OutOfMemory", outcome  # type: ignore[index]
    assert (outcome["signal"], outcome["exit_code"]) == (9, None)
    assert main_pid(host) == main
    assert host.sh(f"cat /proc/{leader}/comm") == "sleep"
    assert shown(host, other)["state"] == "running"


@divided
def test_a_share_of_a_cpu_is_what_the_kernel_lets_a_run_have(host: Box) -> None:
    """With a quarter, all that it starts has a quarter of the time of one, by the kernel's own count."""
    _, leader = begun(host, "--cpu 0.25", "for i in 1 2; do while :; do :; done & done; wait")
    file = f"{group_of(host, leader)}/cpu.stat"

    used, passed = json.loads(
        host.sh(
            f"python3 -c 'import json, time; used = lambda: int(open(\"{file}\").read().split()[1]) / 1e6; "
            "a, s = used(), time.monotonic(); time.sleep(6); print(json.dumps([used() - a, time.monotonic() - s]))'"
        )
    )

    assert 0.2 <= used / passed <= 0.3
    assert number(host, file, "nr_throttled") > 0


@divided
def test_the_unit_is_divided_as_the_kernel_wants_it(host: Box) -> None:
    """Processes are in its leaves alone, and what runs without limits is beside what has some."""
    assert host.sh("systemctl show -p DelegateSubgroup --value jobkeepd") == "daemon"
    _, leader = begun(host, "--memory 64M --cpu 0.5", "exec sleep 1000")
    group = group_of(host, leader)
    assert group.startswith(f"{UNIT}/jobkeep-")
    assert group.endswith("/run")

    assert group_of(host, main_pid(host)) == f"{UNIT}/daemon"
    assert set(host.sh(f"cat {UNIT}/cgroup.subtree_control").split()) >= {"memory", "cpu"}
    assert host.sh(f"cat {UNIT}/cgroup.procs {group}/../cgroup.procs") == ""
    assert host.sh(f"cd {group} && cat memory.max memory.oom.group cpu.max") == f"{64 << 20}\n1\n50000 100000"
    _, free = begun(host, "", "exec sleep 1000")
    assert group_of(host, free).endswith("/shim")


@divided
def test_a_restart_finds_its_place_beside_a_job_with_limits(host: Box) -> None:
    """It succeeds, twice; the job keeps process, group, output and limits, and its end is known as ever."""
    script = f"while ! test -e /srv/jobs/enough; do echo line; sleep 0.2; done; {GREEDY}; echo lives on"
    job, leader = begun(host, "--memory 64M --cpu 0.5", script)
    group = group_of(host, leader)

    for _ in range(2):
        main = main_pid(host)
        host.sh("systemctl restart jobkeepd")
        assert main_pid(host) not in (main, "0")
        assert group_of(host, leader) == group

    host.sh("touch /srv/jobs/enough")
    outcome = ended(host, job)
    said = host.sh(f"jobkeep logs {job} 2>/dev/null").splitlines()
    assert outcome["error"]["type"] == "OutOfMemory", outcome  # type: ignore[index]
    assert {*said} == {"line"}
    assert [run["number"] for run in shown(host, job)["runs"]] == [1]  # type: ignore[attr-defined]
