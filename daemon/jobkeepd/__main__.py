"""Entry of `jobkeepd`: says in one line what to install when the daemon's own dependencies are missing."""

import sys

INTERRUPTED = 130


def main() -> int:
    try:
        from jobkeepd.main import run

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("jobkeepd", "jobkeep"):
            raise
        sys.stderr.write(f"jobkeepd: {error.name} is not installed\nhint: pip install 'jobkeep[daemon]'\n")
        return 1
    except KeyboardInterrupt:  # before it served: later it ends by it as by SIGTERM
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
