"""Entry of `jobkeepd`: says in one line what to install when the daemon's own dependencies are missing."""

import sys

from jobkeepd import lean

INTERRUPTED = 130


def main() -> int:
    try:
        lean.import_dependencies()
        part = sys.argv[1] if len(sys.argv) > 1 else ""
        if part == "emergency":
            from jobkeepd.commands import emergency

            return emergency.run(sys.argv[2:])
        if part == "check-config":
            from jobkeepd.commands import check_config

            return check_config.run(sys.argv[2:])
        if part == "restore":
            from jobkeepd.commands import restore

            return restore.run(sys.argv[2:])
        if part == "install":
            from jobkeepd.commands import install

            return install.run(sys.argv[2:])
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
