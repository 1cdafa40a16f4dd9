"""`python -m jobkeep.web`: what `jobkeep web` becomes."""

from __future__ import annotations

import argparse
import asyncio
import sys

from jobkeep.errors import DaemonUnreachable, JobkeepError
from jobkeep.wording import escape

UNREACHABLE = 4
FAILED, USAGE = 1, 2


def main() -> int:
    """-> the exit code, as the command line has them."""
    parser = argparse.ArgumentParser(prog="jobkeep web")
    parser.add_argument("--socket")
    parser.add_argument("--port", type=int)
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--read-only", action="store_true")
    given = parser.parse_args()
    from jobkeep.web.serve import PortTaken, serve

    try:
        asyncio.run(serve(given.socket, given.port, given.open, given.read_only))
    except KeyboardInterrupt:
        return 0
    except JobkeepError as error:
        sys.stderr.write(f"jobkeep: {escape(str(error))}\n" + (f"hint: {escape(error.hint)}\n" if error.hint else ""))
        if isinstance(error, PortTaken):
            return USAGE
        return UNREACHABLE if isinstance(error, DaemonUnreachable) else FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
