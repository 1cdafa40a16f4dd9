"""Whether what the daemon says of a job is what the start log shows."""

from __future__ import annotations

import signal

from jobkeep.protocol.jobs import Job, Run

from .judges import StartLog


def contradictions(job: Job, log: StartLog, *, leader_killed: bool = False, unseen: bool = False) -> list[str]:
    """All there are. `leader_killed`: the run's own process was; `unseen`: and so was everybody who could have seen.

    Without these, a run that began has a true end on record, and one that did not has left no trace but `interrupted`.
    """
    began = {number for name, number in log.runs() if name == job.id}
    ends = {number: code for (name, number), code in log.ends().items() if name == job.id}
    problems = [name for name in log.violations() if job.id in name]
    for run in job.runs:
        if not _agrees(run, run.number in began, ends.get(run.number), job.kind == "command", leader_killed, unseen):
            problems.append(f"run {run} began: {run.number in began}, ended: {ends.get(run.number)}")
    problems += [f"run {number} is not known" for number in began - {run.number for run in job.runs}]
    if job.state not in ("succeeded", "failed") or job.runs[-1].outcome not in (job.state, "lost"):
        problems.append(f"the job is {job.state}, its last run {job.runs[-1].outcome}")
    return problems


def untruths(job: Job, log: StartLog, *, slot_killed: bool) -> list[str]:
    """Of a job whose command does not exist: none of its runs has a status, and the last one could not be started.

    `slot_killed`: that may have been between its collecting the child that exec refused, and its saying so.
    """
    problems = [f"run {number} began" for name, number in log.runs() if name == job.id]
    for run in job.runs:
        outcomes = ["interrupted"] if run is not job.runs[-1] else ["failed", "lost"] if slot_killed else ["failed"]
        if run.outcome not in outcomes or run.exit_code is not None or run.signal is not None:
            problems.append(f"run {run} has ended otherwise")
    return problems if job.state == "failed" else [*problems, f"the job is {job.state}"]


def _agrees(run: Run, began: bool, code: int | None, is_command: bool, leader_killed: bool, unseen: bool) -> bool:
    killed = leader_killed and (run.signal == signal.SIGKILL or not began)
    match run.outcome:
        case "succeeded":
            return code == 0 and run.exit_code == (0 if is_command else None)
        case "failed":
            return killed or (code not in (None, 0) and run.exit_code == (code if is_command else None))
        case "interrupted":
            return not began and run.exit_code is None and run.signal is None
        case "lost":
            return unseen and began and run.exit_code is None and run.signal is None
    return False
