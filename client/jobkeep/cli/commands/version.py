"""Print the version of this client and, if one answers, of the daemon."""

from __future__ import annotations

from jobkeep import __version__
from jobkeep.cli.failures import OK, Failure
from jobkeep.cli.wire import ADMIN
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(context: Context, arguments: Options) -> int:
    daemon = daemon_version(context)
    if arguments.json:
        context.print_json({"client": __version__, "daemon": daemon})
    else:
        context.print(f"jobkeep {__version__}", f"jobkeepd {daemon}" if daemon else "jobkeepd does not answer")
    return OK


def daemon_version(context: Context) -> str | None:
    """None when nobody answers: that is no error here."""
    try:
        wire = context.dial(autostart=False)
        try:
            return str(wire.call(ADMIN + "Status")["version"])
        finally:
            wire.close()
    except (JobkeepError, Failure):
        return None
