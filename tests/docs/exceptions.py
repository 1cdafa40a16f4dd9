"""What of the documentation a test machine cannot do as it stands, and why; nothing else is left out."""

from __future__ import annotations

# Blocks of `sh`, by page and first line: their lines are checked one by one instead (see `test_blocks`).
NOT_RUN = {
    ("README.md", "make demo"): "the tests within themselves; `make demo` has tests of its own",
    ("README.md", "python3 -m venv"): "needs a registry",
    ("client/README.md", "python3 -m venv"): "needs a registry",
    ("docs/dask.md", "pip install"): "needs a registry",
    ("docs/dask.md", "dask scheduler"): "listens where another one may; tests/dask_bridge starts them elsewhere",
    ("docs/dask.md", "jobkeep call"): "needs a Dask cluster; tests/dask_bridge has one",
    ("systemd/README.md", "python3 -m venv"): "needs root, systemd and a registry; `make test-systemd` does it",
    ("systemd/README.md", "usermod"): "needs root and a system of its own; `make test-systemd` tries it",
    ("systemd/README.md", "systemctl edit"): "needs root, systemd and an editor",
    ("systemd/README.md", "/opt/jobkeep/bin/pip"): "needs root, systemd and a registry; `make test-systemd` does it",
    ("systemd/README.md", "jobkeep emergency"): "needs root and systemd; `make test-systemd` does it",
}
# Words of a page that are others here.
OTHERWISE = {
    "9515": "a port that is free",
    "total=313": "total=3, since each item starts three programs",
    "313/313": "3/3, therefore",
    "/run/user/1000/jobkeep/socket": "the socket of the daemon here",
}
# Phrases in running text that begin with `jobkeep` and are no command lines.
NO_COMMAND = {
    "jobkeep": "the name",
    "jobkeep completion fish | source": "`source` is fish's own",
    "jobkeep show ID --json | jq -c .spec | jobkeep run --from-file -": "two of them, and jq",
}
