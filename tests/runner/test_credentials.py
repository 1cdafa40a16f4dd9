"""Files that jobs get of the daemon's credentials."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from jobkeepd.errors import StartFailed
from jobkeepd.runner.credentials import Credentials


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "api").write_bytes(b"k\0y\n")
    (tmp_path / "given" / "other").write_bytes(b"o")
    return Credentials(f"{tmp_path}/given", f"{tmp_path}/run")


def test_a_job_gets_what_it_names_for_itself(credentials: Credentials, tmp_path: Path) -> None:
    """Byte by byte, as it is now, for one user alone; and nothing is left of it afterwards."""
    credentials.lay_out("a", ["api"])
    (tmp_path / "given" / "api").write_bytes(b"new")
    credentials.lay_out("b", ["other", "api"])
    first, second = Path(credentials.path("a")), Path(credentials.path("b"))
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {"api": b"k\0y\n"}
    assert {path.name: path.read_bytes() for path in second.iterdir()} == {"api": b"new", "other": b"o"}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (first.parent, first, first / "api")] == [0o700, 0o700, 0o400]
    credentials.lay_out("a", ["other"])  # its next run
    assert [path.name for path in first.iterdir()] == ["other"]
    credentials.remove("a")
    credentials.remove("nobody")
    assert [path.name for path in first.parent.iterdir()] == ["b"]


def test_what_a_dead_daemon_has_left_goes(credentials: Credentials) -> None:
    """But for jobs with a run."""
    credentials.sweep(())
    for job in ("a", "b", "c"):
        credentials.lay_out(job, ["api"])
    credentials.sweep({"b", "x"})
    assert [path.name for path in Path(credentials.path("a")).parent.iterdir()] == ["b"]


def test_what_cannot_be_handed_over_is_told(credentials: Credentials, tmp_path: Path) -> None:
    """With what there is, and nothing is left behind; also of what cannot be read or written."""
    with pytest.raises(StartFailed, match="no credential nosuch; there is api, other"):
        credentials.lay_out("a", ["api", "nosuch"])
    with pytest.raises(StartFailed, match="there is none"):
        Credentials(None, str(tmp_path)).lay_out("a", ["api"])
    with pytest.raises(StartFailed, match="there is none"):
        Credentials(f"{tmp_path}/gone", str(tmp_path)).lay_out("a", ["api"])
    (tmp_path / "given" / "folder").mkdir()
    with pytest.raises(StartFailed, match="Is a directory"):
        credentials.lay_out("a", ["api", "folder"])
    assert not Path(credentials.path("a")).exists()
    (tmp_path / "file").touch()
    with pytest.raises(StartFailed, match="Not a directory"):
        Credentials(f"{tmp_path}/given", f"{tmp_path}/file").lay_out("a", ["api"])
