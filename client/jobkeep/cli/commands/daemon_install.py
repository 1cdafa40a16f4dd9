"""Put the units in their places that let systemd run the daemon. It enables and starts nothing."""

from __future__ import annotations

import os

from jobkeep.cli.daemons import jobkeepd
from jobkeep.cli.failures import FAILED, OK
from jobkeep.cli.render.text import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
sudo jobkeep daemon install                        the host's daemon, whose jobs run as the user jobkeep
sudo systemctl enable --now jobkeepd.socket jobkeepd.service
jobkeep daemon install --user                      your own
systemctl --user enable --now jobkeepd.socket jobkeepd.service
loginctl enable-linger                             it goes on when you log out

Units name this installation of jobkeep: where jobs of the host run as the user jobkeep, it must be one that this user
may read, such as /opt/jobkeep. Install again after it has moved, or has another version. Your changes belong into
`systemctl edit`; a file that is not from jobkeep is never touched: nothing is installed then, and --uninstall takes the
others away, says which it has left, and ends with exit code 1. Stop and disable the units before --uninstall, which
leaves user, configuration, database and logs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon install [OPTIONS]"
    parser.add_argument("--user", action="store_true", help="your own daemon's, for systemctl --user")
    parser.add_argument("--root", metavar="DIR", help="below DIR, for the image of another system")
    parser.add_argument("--uninstall", action="store_true", help="take them away")


def run(context: Context, arguments: Options) -> int:
    words = ["install", *(["--user"] if arguments.user else []), *(["--uninstall"] if arguments.uninstall else [])]
    words += [f"--root={os.path.abspath(arguments.root)}"] if arguments.root else []
    report = jobkeepd(words, "not all is done")
    code = FAILED if report["left"] else OK
    if context.options.json:
        context.print_json(report)
        return code
    word = "removed" if report["uninstalled"] else "installed"
    if not context.options.quiet:
        context.print(*(f"{word}: {escape(file)}" for file in report["files"]))
        if not report["uninstalled"]:
            user = " --user" if arguments.user else ""
            context.print(f"systemctl{user} enable --now jobkeepd.socket jobkeepd.service starts it")
    return code
