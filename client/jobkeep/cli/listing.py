"""The commands of `jobkeep`, grouped, with one line each."""

from __future__ import annotations

GROUPS: dict[str, dict[str, str]] = {
    "Start jobs": {
        "run": "run a command as a job and follow it",
        "call": "call a Python function as a job and follow it",
    },
    "Look at jobs": {
        "ls": "list live jobs and those that ended last (also: bare `jobkeep`)",
        "show": "tell all about one job",
        "logs": "print a job's output",
        "watch": "show how jobs are doing, as it changes",
        "top": "a board of the whole terminal, with keys that act on jobs",
        "wait": "wait until jobs have ended",
        "explain": "tell why a job does not run or move",
        "history": "print the journal of one job",
        "events": "print the journal of all jobs",
        "sql": "ask the database, read-only",
    },
    "Act on jobs": {
        "cancel": "stop jobs",
        "resume": "continue failed or cancelled jobs from their checkpoint",
        "restart": "end the running process of jobs and continue them",
        "rm": "forget ended jobs, with their output",
    },
    "Inside a job": {
        "progress": "tell how far the job is",
        "checkpoint": "save where the job is, and get it back in its next run",
    },
    "Locks and queues": {
        "lock": "list, show and reset locks; run a command under one",
        "queue": "list, pause, resume and limit queues",
    },
    "Schedules": {
        "schedule": "list, add, pause, trigger and remove schedules: jobs by the calendar",
    },
    "Sessions": {
        "session": "list, open and close sessions; run a command that uses one",
    },
    "Recover": {
        "recover": "look at every run, and end those that are dead",
    },
    "Processes": {
        "ps": "list the processes that are ours, and whose each is",
        "cleanup": "end what nobody owns: leftovers of ended runs, orphans of families",
        "emergency": "end the daemon and all that it manages, whatever state it is in",
    },
    "The daemon": {
        "daemon": "start, drain, stop, back up or look at the daemon",
        "doctor": "look at daemon and host, and tell what is wrong and what to do",
        "metrics": "print numbers for Prometheus, in the text of OpenMetrics",
        "web": "serve a dashboard to your own browser",
        "demo": "show on a private daemon what jobkeep does",
        "completion": "print the script by which a shell completes command lines",
        "version": "print the versions of client and daemon",
    },
}


def names() -> list[str]:
    """All commands."""
    return [name for group in GROUPS.values() for name in group]


def overview() -> str:
    """The text of `jobkeep --help`."""
    lines = ["usage: jobkeep [COMMON OPTIONS] COMMAND …", "", "Keeps jobs alive, exclusive, visible and resumable."]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<10} {summary}" for name, summary in commands.items()]
    return "\n".join([*lines, "", _COMMON])


_COMMON = """\
Common options, before or behind the command:
  --socket PATH               the daemon's socket (else $JOBKEEP_SOCKET, else your own daemon's)
  --json                      JSON for programs: one object, or one per line
  -q, --quiet                 ids only
  --no-trunc                  whole ids and names
  --color auto|always|never   colours (also: NO_COLOR)
  --timeout DUR               how long to wait for an ANSWER of the daemon (30s); behind run, call
                              and wait it is the job's time instead

Exit codes: 0 ok, 1 the job failed, 2 usage, 3 not found or ambiguous, 4 daemon unreachable,
5 the job's state does not allow it, or its key or lock is somebody else's, 6 not permitted,
124 time-out, 130 Ctrl-C, 141 broken pipe;
run: the command's own, 126 it cannot be executed, 127 there is no such command.

`jobkeep COMMAND --help` tells more."""
