"""What is shipped: the wheel, the archive of the sources, and what each extra is for, in an environment of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built of what is here. Nothing is fetched: the build backend is one of the tools."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return folder


@pytest.fixture(scope="session")
def bare(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and what it names without an extra, and no other package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    (wheel,) = shipped.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin/python")]
    install = [*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=100)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in required("jobkeep"):
        for top in tops(name):
            (packages / top.name).symlink_to(top)
    return folder / "bin"


def required(name: str) -> Iterator[str]:
    """The distributions that one without extras needs here."""
    for requirement in map(Requirement, distribution(name).requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name
            yield from required(requirement.name)


def tops(name: str) -> set[Path]:
    """What a distribution has put beside the others."""
    installed = distribution(name)
    return {Path(str(installed.locate_file(file.parts[0]))) for file in installed.files or [] if file.parts[0] != ".."}


def tracked(*folders: str) -> set[str]:
    found = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(found.stdout.split("\n")) - {""}


def run(bare: Path, program: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """As a user of that environment, from an empty folder."""
    surroundings = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    return subprocess.run(
        [str(bare / program), *words], cwd=home, env=surroundings, capture_output=True, text=True, timeout=60
    )


def test_the_wheel_has_both_packages_whole_and_what_a_host_installs(shipped: Path) -> None:
    """Templates, pictures and types of the packages; units and the manual page as data; nothing of the tests."""
    (path,) = shipped.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    packages = tracked("client/jobkeep", "daemon/jobkeepd")
    assert {name.partition("/")[2] for name in packages} <= names
    tops = {name.partition("/")[0] for name in names}
    data, info = sorted(top for top in tops if "." in top)
    assert tops == {"jobkeep", "jobkeepd", data, info}
    shared = {name.removeprefix(f"{data}/data/share/") for name in names if name.startswith(f"{data}/")}
    units = {f"jobkeep/{name}" for name in tracked("systemd")}
    assert shared == units | {"man/man1/jobkeep.1"}


def test_the_archive_of_the_sources_has_all_that_is_tracked(shipped: Path) -> None:
    """Whoever packages it for a distribution can build, document and test it."""
    (path,) = shipped.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert tracked() - {".ci/run"} - names == set()


def test_every_extra_is_named_where_it_is_for_the_user() -> None:
    """By the command that installs it, from a clone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = (ROOT / "README.md").read_text()
    for extra in project["optional-dependencies"].keys() - {"dev"}:
        assert re.search(rf"pip install '(jobkeep|\.)\[(\w+,)*{extra}[],]", readme), extra


def test_without_an_extra_there_are_client_and_command_line(bare: Path, tmp_path: Path) -> None:
    """They need anyio and msgspec alone; what needs an extra says in two lines what is missing, and what to install."""
    assert run(bare, "jobkeep", "--version", home=tmp_path).stdout.startswith("jobkeep ")
    assert "usage: jobkeep run" in run(bare, "jobkeep", "run", "--help", home=tmp_path).stdout
    imported = run(bare, "python", "-c", "import jobkeep, jobkeep.sdk; print(jobkeep.connect)", home=tmp_path)
    assert (imported.returncode, imported.stderr) == (0, "")
    for words, code, missing, extra in [
        (["jobkeepd"], 1, "structlog is not installed", "daemon"),
        (["jobkeep", "ls"], 4, "jobkeepd is not installed here", "daemon"),
        (["jobkeep", "web"], 2, "needs jinja2, starlette, uvicorn", "web"),
    ]:
        found = run(bare, *words, home=tmp_path)
        said, hint = found.stderr.splitlines()
        assert (found.returncode, found.stdout) == (code, "")
        assert missing in said
        assert hint == f"hint: pip install 'jobkeep[{extra}]'"
