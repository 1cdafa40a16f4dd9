"""The demo's job sorts files, and meets real failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobkeep.demo.batch import parse, parse_plainly, python_files, start_log
from jobkeep.demo.screen import bar, tally_text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (b"", "empty"),
        (b"# nothing but words\n", "empty"),
        (b"x = 1\n", "module"),
        (b"if __name__ == '__main__':\n    print()\n", "script"),
    ],
)
def test_a_file_is_sorted_by_what_it_holds(text: bytes, label: str, tmp_path: Path) -> None:
    """Empty, module, or script."""
    path = tmp_path / "file.py"
    path.write_bytes(text)

    assert parse(str(path)) == label


@pytest.mark.parametrize("text", [b"def\n", b"x = 1\0\n", b"# \xff\n"])
def test_a_file_that_is_not_python_raises(text: bytes, tmp_path: Path) -> None:
    """Bad syntax, null bytes and bad encoding are failures of the item."""
    path = tmp_path / "file.py"
    path.write_bytes(text)

    with pytest.raises((SyntaxError, ValueError)):
        parse(str(path))


def test_the_plain_pass_counts_failures_and_goes_on(tmp_path: Path) -> None:
    """Its tallies are what the job's have to be."""
    (tmp_path / "a.py").write_text("def\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("x = 1\n", encoding="utf-8")

    assert parse_plainly(str(tmp_path)) == {"failed": 1, "module": 1}


def test_files_come_sorted_and_without_installed_packages(tmp_path: Path) -> None:
    """A resumed run has to meet the same items in the same order."""
    for name in ("b.py", "a.py", "site-packages/c.py", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [Path(path).name for path in python_files(str(tmp_path))] == ["a.py", "b.py"]


def test_the_start_log_gets_one_line_per_start(tmp_path: Path) -> None:
    """Appended, whoever wrote before."""
    log = tmp_path / "starts.log"
    start_log(str(log))("one")
    start_log(str(log))("two")

    assert [line.split()[1] for line in log.read_text(encoding="utf-8").splitlines()] == ["one", "two"]


def test_tallies_are_shown_with_failures_last() -> None:
    """In the same order each time, so that two lines can be compared by eye."""
    assert tally_text({"failed": 2, "script": 3, "module": 1}) == "module 1  script 3  failed 2"


def test_a_bar_of_nothing_is_empty() -> None:
    """No total is no division by zero."""
    assert bar(0, 0, 4) == "░░░░"
    assert bar(1, 2, 4) == "██░░"
