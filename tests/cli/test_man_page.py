"""The manual page says what `--help` says, and is one that `man` can show."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from cli.man_page import PAGE, page
from jobkeep.cli.listing import names


def test_the_manual_page_is_the_one_that_would_be_written_now() -> None:
    """Else: `make docs`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_it_is_shown_without_a_complaint() -> None:
    """Every command is there."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed (Debian: apt install groff)")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-k", str(PAGE)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    shown = " ".join(re.sub(".\b", "", done.stdout).split())  # bold is printed twice
    assert [name for name in names() if f"jobkeep {name} " not in shown] == []
