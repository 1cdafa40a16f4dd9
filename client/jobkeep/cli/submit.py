"""What `run` and `call` share: their options, the spec they make of them, and what follows the submit."""

from __future__ import annotations

import os

from jobkeep.cli import values, variables
from jobkeep.cli.failures import OK, Failure, UsageError
from jobkeep.cli.wire import JOBS
from jobkeep.client.surroundings import environment, trace, umask
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


CHOICES = ("reject", "return", "replace-queued", "queue", "cancel-running")
ABOUT_KEYS = ("replace-queued", "cancel-running")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of both."""
    _add_what(parser)
    how = parser.add_argument_group("how it runs")
    how.add_argument("--queue", type=values.name, metavar="Q", help="by default the queue named default")
    how.add_argument(
        "--priority", type=values.priority, default=0, metavar="N", help="-1000 to 1000; higher is first; default: 0"
    )
    how.add_argument("--delay", type=values.duration, metavar="DUR", help="not before so long from now")
    how.add_argument(
        "--at", type=values.moment, metavar="TIME", help="not before: 18:00, 2030-01-31 or 2030-01-31T18:00 [+01:00]"
    )
    how.add_argument(
        "--after", action="append", type=values.ids, default=[], metavar="ID…",
        help="starts when these jobs have succeeded, and fails with any of them; A,B or repeated",
    )  # fmt: skip
    how.add_argument(
        "--after-label", action="append", type=values.label, default=[], metavar="K=V",
        help="the same for all jobs with that label that have not ended yet; repeated: with all of them",
    )  # fmt: skip
    how.add_argument("--after-any-end", action="store_true", help="it does not matter how they end")
    how.add_argument("--timeout", type=values.limit, metavar="DUR", help="of one run: 90s 15m 2d; default: none")
    how.add_argument(
        "--queue-timeout", type=values.limit, metavar="DUR",
        help="it fails when it could not be started by then; default: none",
    )  # fmt: skip
    how.add_argument(
        "--stall-after", type=values.duration, metavar="DUR",
        help="without progress (of a command: output) it is stalled; 0: never; default: by [jobs] stall_after",
    )  # fmt: skip
    how.add_argument(
        "--on-stall", choices=("alert", "cancel", "restart"),
        help="what becomes of it then; default: by [jobs] on_stall, alert",
    )  # fmt: skip
    how.add_argument("--grace", type=values.duration, metavar="DUR", help="between stop and kill; default: 10s")
    how.add_argument("--on-lost", choices=("fail", "resume"), help="when nobody saw how a run ended; default: fail")
    how.add_argument(
        "--retries", type=values.retries, default=0, metavar="N",
        help="further attempts after a failure, from the last checkpoint on; default: 0",
    )  # fmt: skip
    how.add_argument("--backoff", type=values.duration, metavar="DUR", help="before a retry, then doubled; default: 1s")
    how.add_argument("--nice", type=values.nice, metavar="N", help="-20 to 19; default: the daemon's own")
    how.add_argument(
        "--memory", type=values.memory, metavar="SIZE",
        help="512M, 1.5G: of the whole run where the daemon divides control groups, else of each process",
    )  # fmt: skip
    how.add_argument("--cpu", type=values.cpu, metavar="N", help="how many CPUs: 2, 0.5; default: no limit")
    how.add_argument("--nofile", type=values.nofile, metavar="N", help="open files of each process")
    how.add_argument("--cwd", metavar="DIR", help="default: this directory")
    variables.add_options(how)


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what it is")
    what.add_argument("-d", "--detach", action="store_true", help="print the id and return at once")
    what.add_argument("--name", type=values.name, help="what lists show; default: the command's or function's own")
    what.add_argument("--label", action="append", type=values.label, default=[], metavar="K=V", help="repeatable")
    what.add_argument("--key", type=values.name, help="at most one live job has this key")
    what.add_argument(
        "--lock", dest="locks", action="append", type=values.name, default=[], metavar="NAME",
        help="runs only while no other run or client has it",
    )  # fmt: skip
    what.add_argument(
        "--on-conflict", choices=CHOICES, metavar="|".join(CHOICES),
        help="when a live job has the key, or the lock is held; default: reject for a key, queue (wait) for a lock",
    )  # fmt: skip
    what.add_argument("--request-id", type=values.request_id, metavar="ID", help="the same id never makes a second job")


def spec(arguments: Options, named: Collection[str] = ()) -> dict[str, Any]:
    """The part of the spec that the common options and this process make. Only what differs from the defaults.

    `named` are the arguments of the function.
    """
    made: dict[str, Any] = {
        "name": arguments.name,
        "queue": arguments.queue,
        "labels": dict(arguments.label) or None,
        "key": arguments.key,
        "lock": lock_of(arguments),
        "priority": arguments.priority or None,
        "delay_s": arguments.delay,
        "at": arguments.at,
        "after": [id for ids in arguments.after for id in ids] or None,
        "after_label": dict(arguments.after_label) or None,
        "after_any_end": arguments.after_any_end or None,
        "timeout_s": arguments.timeout,
        "queue_timeout_s": arguments.queue_timeout,
        "stall_after_s": arguments.stall_after,
        "on_stall": arguments.on_stall,
        "grace_s": arguments.grace,
        "on_lost": arguments.on_lost,
        "retries": arguments.retries or None,
        "backoff_s": arguments.backoff,
        "cwd": directory(arguments.cwd),
        "umask": umask(),
        "nice": arguments.nice,
        "memory_bytes": arguments.memory,
        "cpu": arguments.cpu,
        "nofile": arguments.nofile,
        **variables.spec_of(arguments, named),
        "environment": environment(),
        **trace(),
    }
    return {name: value for name, value in made.items() if value is not None}


def lock_of(arguments: Options) -> str | None:
    """Raises UsageError for several, of which only one would be had."""
    if len(arguments.locks) > 1:
        hint = "one lock for all that must not meet, or within the job: jobkeep lock run NAME -- COMMAND"
        raise UsageError(f"a job has one lock, not {' and '.join(arguments.locks)}", hint)
    return arguments.locks[0] if arguments.locks else None


def directory(given: str | None) -> str:
    """Where the job runs, as an absolute path."""
    try:
        path = os.path.abspath(given) if given is not None else os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current directory is gone", "name another with --cwd") from None
    if not os.path.isdir(path):
        raise UsageError(f"--cwd: {path} is no directory")
    return path


def submit(context: Context, arguments: Options, spec: dict[str, Any]) -> dict[str, Any]:
    """Hand the job over; the request id makes asking again harmless."""
    request = arguments.request_id or os.urandom(16).hex()
    try:
        return context.link.call(
            JOBS + "Submit",
            again=f"whether it took the job is unknown; the same command with --request-id {request} is safe",
            spec=spec,
            request_id=request,
            on_conflict=arguments.on_conflict and arguments.on_conflict.replace("-", "_"),
        )
    except KeyboardInterrupt:
        context.note("interrupted while submitting: jobkeep ls shows whether the job was taken")
        raise


def detached(context: Context, arguments: Options, reply: dict[str, Any]) -> int:
    """Print the id, whole: it is there to be passed on."""
    if arguments.json:
        context.print_json(reply)
    else:
        context.print(reply["id"])
        if not reply.get("created", True):
            context.note(f"this job was there already, {reply['state']}")
        elif reply["state"] == "queued" and (arguments.locks or arguments.key) and not arguments.quiet:
            tell_wait(context, reply["id"], ("lock", "key"))
    return OK


WAITING = ("after", "lock", "key", "paused", "limit", "draining", "due")  # kinds of reasons


def tell_wait(context: Context, id: str, kinds: Collection[str] = WAITING) -> None:
    """What a job has to wait for, such as who has its lock. It is submitted, whatever the answer is."""
    try:
        said = context.link.once(JOBS + "Explain", again="", id=id)
    except (Failure, JobkeepError):
        return
    for reason in said.get("reasons") or ():
        if reason.get("kind") in kinds:
            context.note(str(reason.get("text")))


def check_conflict(arguments: Options) -> None:
    """What means nothing without another option."""
    choice = arguments.on_conflict
    if choice in ABOUT_KEYS and not arguments.key:
        raise UsageError(f"--on-conflict {choice} needs --key", "a key names the request: --key refresh")
    if choice and not (arguments.key or arguments.locks):
        raise UsageError("--on-conflict needs --key or --lock", "a key names the request: --key refresh")


def finish(context: Context, arguments: Options, made: dict[str, Any]) -> int:
    """Submit, and then either return at once or stay until the end."""
    check_conflict(arguments)
    if arguments.at and arguments.delay is not None:
        raise UsageError("either --delay or --at says when it is due, not both")
    if arguments.after_any_end and not (arguments.after or arguments.after_label):
        raise UsageError("--after-any-end needs --after or --after-label", "--after ID names the jobs to wait for")
    if arguments.at or arguments.after_label:
        from jobkeep.cli.surprises import tell  # what means something else than it seems

        tell(context, arguments)
    reply = submit(context, arguments, made)
    if arguments.detach:
        return detached(context, arguments, reply)
    from jobkeep.cli.foreground import attend  # heavier, and not needed by -d

    return attend(context, reply, _is_ours(arguments, reply))


def _is_ours(arguments: Options, reply: dict[str, Any]) -> bool:
    """Whether this command line made the job. With an id of our own making, a job that was there came from
    asking twice after a lost answer, unless its key may have found somebody else's.
    """
    return reply.get("created", True) or not (arguments.request_id or arguments.on_conflict == "return")
