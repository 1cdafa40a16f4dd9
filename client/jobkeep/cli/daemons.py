"""The daemon itself: asked without starting one, and its own command line, jobkeepd."""

from __future__ import annotations

import sys

from jobkeep.cli.failures import FAILED, Failure
from jobkeep.cli.wire import ADMIN
from jobkeep.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from jobkeep.cli.context import Context


def ask(context: Context, method: str, **parameters: Any) -> dict[str, Any]:
    """One call of org.jobkeep.Admin."""
    wire = context.dial(autostart=False)
    try:
        return wire.call(ADMIN + method, **parameters)
    finally:
        wire.close()


def status_of(context: Context, pid: int | None = None) -> dict[str, Any] | None:
    """None when no daemon answers (or another one than `pid`)."""
    try:
        status = ask(context, "Status")
    except DaemonUnreachable:
        return None
    return status if pid is None or status["pid"] == pid else None


def jobkeepd(words: list[str], failed: str, codes: Collection[int] = (), *, quiet: bool = False) -> dict[str, Any]:
    """What `jobkeepd WORDS…` reports: JSON. What it says besides is passed on, unless `quiet`.

    Raises Failure where it reports nothing; `codes` are those of its exit statuses that are passed on as well.
    """
    import json
    import subprocess  # dear, and of few commands

    done = subprocess.run([sys.executable, "-m", "jobkeepd", *words], capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()
    if quiet:
        failed = "; ".join([failed, *said[:1]])
    else:
        sys.stderr.writelines(f"{line}\n" for line in said)
    if not done.stdout:
        raise Failure(failed, done.returncode if done.returncode in codes else FAILED)
    report: dict[str, Any] = json.loads(done.stdout)
    return report
