"""What `run` and `call` share: their options, the spec they make of them, and what follows the submit."""

from __future__ import annotations

import os

from jobkeep.cli import values
from jobkeep.cli.failures import OK, UsageError
from jobkeep.cli.wire import JOBS
from jobkeep.client.surroundings import environment, umask

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of both."""
    what = parser.add_argument_group("what it is")
    what.add_argument("-d", "--detach", action="store_true", help="print the id and return at once")
    what.add_argument("--name", type=values.name, help="what lists show; default: the command's or function's own")
    what.add_argument("--label", action="append", type=values.label, default=[], metavar="K=V", help="repeatable")
    what.add_argument("--key", type=values.name, help="at most one live job has this key")
    what.add_argument(
        "--on-conflict", choices=("reject", "return"), default="reject",
        help="when a live job has the key: refuse, or take that job; default: reject",
    )  # fmt: skip
    what.add_argument("--request-id", type=values.request_id, metavar="ID", help="the same id never makes a second job")
    how = parser.add_argument_group("how it runs")
    how.add_argument("--queue", type=values.name, metavar="Q", help="by default the queue named default")
    how.add_argument(
        "--priority", type=values.priority, default=0, metavar="N", help="-1000 to 1000; higher is first; default: 0"
    )
    how.add_argument("--timeout", type=values.limit, metavar="DUR", help="of one run: 90s 15m 2d; default: none")
    how.add_argument("--grace", type=values.duration, metavar="DUR", help="between stop and kill; default: 10s")
    how.add_argument("--on-lost", choices=("fail", "resume"), help="when nobody saw how a run ended; default: fail")
    how.add_argument(
        "--retries", type=values.retries, default=0, metavar="N",
        help="further attempts after a failure, from the last checkpoint on; default: 0",
    )  # fmt: skip
    how.add_argument("--backoff", type=values.duration, metavar="DUR", help="before a retry, then doubled; default: 1s")
    how.add_argument("--cwd", metavar="DIR", help="default: this directory")
    how.add_argument("--env", action="append", type=values.variable, default=[], metavar="K=V", help="repeatable")


def spec(arguments: Options) -> dict[str, Any]:
    """The part of the spec that the common options and this process make. Only what differs from the defaults."""
    made: dict[str, Any] = {
        "name": arguments.name,
        "queue": arguments.queue,
        "labels": dict(arguments.label) or None,
        "key": arguments.key,
        "priority": arguments.priority or None,
        "timeout_s": arguments.timeout,
        "grace_s": arguments.grace,
        "on_lost": arguments.on_lost,
        "retries": arguments.retries or None,
        "backoff_s": arguments.backoff,
        "cwd": directory(arguments.cwd),
        "umask": umask(),
        "env": dict(arguments.env) or None,
        "environment": environment(),
    }
    return {name: value for name, value in made.items() if value is not None}


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
            on_conflict=arguments.on_conflict,
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
    return OK


def check_key(arguments: Options) -> None:
    """Options that mean nothing without another one."""
    if arguments.on_conflict != "reject" and not arguments.key:
        raise UsageError("--on-conflict needs --key", "a key names the request: --key refresh")


def finish(context: Context, arguments: Options, made: dict[str, Any]) -> int:
    """Submit, and then either return at once or stay until the end."""
    check_key(arguments)
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
