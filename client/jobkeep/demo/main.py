"""The story of the demo, and the claims that it checks at its end."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from jobkeep.demo.claims import Claim, check
from jobkeep.demo.plain import PlainPass
from jobkeep.demo.screen import Screen
from jobkeep.demo.story import Story
from jobkeep.demo.termination import GRACE_S, Termination
from jobkeep.testing import PrivateDaemon

EVERY = 10  # items between two checkpoints
SUGGESTIONS = """
The daemon goes on. Look around:
  export JOBKEEP_SOCKET=SOCKET_PATH
  JOBKEEP ls
  JOBKEEP show ID              the job, with its tallies and runs
  JOBKEEP history ID           what happened to it, entry by entry
  JOBKEEP sql 'SELECT id, state, attempt, done, failed_items FROM job_status'
  JOBKEEP run -- sh -c 'echo hello from a job'
and end it with
  JOBKEEP daemon stop && rm -r HOME_PATH"""


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 when every claim holds."""
    parser = argparse.ArgumentParser(prog="jobkeep demo", description="A real batch, killed twice, that loses nothing.")
    parser.add_argument("--terminate", action="store_true", help="instead: how jobs end that do not want to")
    parser.add_argument("--keep", action="store_true", help="leave the daemon running, for looking around")
    options = parser.parse_args(argv)
    home = Path(tempfile.mkdtemp(prefix="jobkeep-demo-"))
    daemon = PrivateDaemon(home)
    screen = Screen()
    try:
        claims = terminate(daemon, screen) if options.terminate else run(daemon, screen)
        report(screen, claims)
        if options.keep:
            suggest(screen, daemon)
    except KeyboardInterrupt:
        screen.say("interrupted")
        return 130
    finally:
        if not options.keep:
            daemon.stop()
            shutil.rmtree(home, ignore_errors=True)
    return 0 if all(claim.holds for claim in claims) else 1


def run(daemon: PrivateDaemon, screen: Screen) -> list[Claim]:
    """Let the batch go through its two deaths, beside a plain pass over the same files."""
    root = Path(sysconfig.get_path("stdlib")).resolve()
    screen.say(f"A private daemon works in {daemon.home}.")
    with PlainPass(root) as plain:
        ending = Story(daemon, screen, root, EVERY).tell()
        screen.say("Waiting for the plain pass over the same files, to compare …")
        return check(ending, plain.tallies(), EVERY)


def terminate(daemon: PrivateDaemon, screen: Screen) -> list[Claim]:
    """Cancel jobs of all kinds, and look whether anything is left of them."""
    screen.say(f"A private daemon works in {daemon.home}. A job that is cancelled is asked; after its grace, here")
    screen.say(f"{GRACE_S:g} s, it gets SIGTERM, and then SIGKILL with all that it has started.")
    began = time.monotonic()
    claims = Termination(daemon, screen).tell()
    screen.say()
    screen.say(f"That took {time.monotonic() - began:.0f} s.")
    return claims


def report(screen: Screen, claims: list[Claim]) -> None:
    screen.say()
    for claim in claims:
        screen.say(f"{'✓' if claim.holds else '✗'} {claim.sentence}")
        for detail in claim.details:
            screen.say(f"    {detail}")


def suggest(screen: Screen, daemon: PrivateDaemon) -> None:
    screen.say(suggestions(str(daemon.socket), str(daemon.home)))


def suggestions(socket: str, home: str) -> str:
    """Lines to copy: what they name is where this demo's daemon and the jobkeep beside this Python are."""
    script = Path(sys.executable).with_name("jobkeep")
    jobkeep = shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m jobkeep.cli"
    text = SUGGESTIONS.replace("JOBKEEP ", f"{jobkeep} ")
    return text.replace("SOCKET_PATH", shlex.quote(socket)).replace("HOME_PATH", shlex.quote(home))
