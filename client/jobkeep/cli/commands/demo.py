"""Show on a daemon of its own what jobkeep does: a batch that is killed twice, or jobs that will not stop."""

from __future__ import annotations

import os
import sys

from jobkeep.cli.failures import UsageError
from jobkeep.client.autostart import is_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
  jobkeep demo                 a real batch; its worker is killed, then its daemon
  jobkeep demo --terminate     jobs that swallow their cancellation, hang or hide, and how they end
  jobkeep demo --keep          … and leave the daemon there, for looking around
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--terminate", action="store_true", help="show how jobs are ended that do not want to end")
    parser.add_argument("--keep", action="store_true", help="leave the daemon running, for looking around")


def run(context: Context, arguments: Options) -> int:
    if not is_installed():  # the wheel has the daemon's code, but not what that imports
        raise UsageError("the demo needs the daemon, which is not installed here", "pip install 'jobkeep[daemon]'")
    sys.stdout.flush()
    words = [f"--{name}" for name in ("terminate", "keep") if getattr(arguments, name)]
    os.execv(sys.executable, [sys.executable, "-m", "jobkeep.demo", *words])  # noqa: S606 - ourselves
