"""What type checkers see of the library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# Programs of their own, of which nothing is imported by others.
APART = ("jobkeep.cli.", "jobkeep.dask_bridge.", "jobkeep.demo.", "jobkeep.web.", "jobkeep.worker.")


def test_every_public_name_has_a_type_that_all_checkers_agree_on(tmp_path: Path) -> None:
    """None is left to inference, which each checker does in its own way. The names are pyright's: all without `_`."""
    bin = str(Path(sys.executable).parent)
    ran = subprocess.run(
        [f"{bin}/pyright", "--verifytypes", "jobkeep", "--ignoreexternal", "--outputjson"],
        cwd=tmp_path,  # not the project's folder: it looks at what is installed
        env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    report = json.loads(ran.stdout)["typeCompleteness"]
    symbols = [each for each in report["symbols"] if not each["name"].startswith(APART)]

    assert Path(report["pyTypedPath"]).name == "py.typed"
    assert len(symbols) > 1000
    assert {
        each["name"]: [said["message"] for said in each["diagnostics"]]
        for each in symbols
        if each["isTypeAmbiguous"] or not each["isTypeKnown"]
    } == {}
