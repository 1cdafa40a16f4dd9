"""Entry of `jobkeepd`: says in one line what to install when the daemon's own dependencies are missing."""

import sys


def main() -> int:
    try:
        from jobkeepd.main import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("jobkeepd", "jobkeep"):
            raise
        sys.stderr.write(f"jobkeepd: {error.name} is not installed\nhint: pip install 'jobkeep[daemon]'\n")
        return 1
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
