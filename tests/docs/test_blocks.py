"""Every code block of the documentation does what it says: it is run, loaded or read, by its language."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import varlink.scanner  # type: ignore[import-untyped]

from jobkeep.protocol.vocabulary import ENDED_STATES, LIVE_STATES
from jobkeep.testing import PrivateDaemon
from ports import free_port

from .commands import refusal_of
from .exceptions import NOT_RUN, OTHERWISE
from .pages import PAGES, ROOT, Block, blocks_of, text_of
from .terminal import Terminal, environment, session

HERE = Path(__file__).parent
BLOCKS = {page: blocks_of(page) for page in PAGES}
RUN = ("python", "bash", "sh", "console", "toml")  # by `Page`; the others are read
used: set[tuple[str, str]] = set()  # of NOT_RUN


class Page:
    """A page that is followed from top to bottom, in a folder of its own, with a daemon of its own."""

    def __init__(self, blocks: list[Block], daemon: PrivateDaemon, home: Path) -> None:
        self._blocks = blocks
        self._home = home
        self._terminal = Terminal(
            home, environment(home, daemon.socket, str(HERE / "stand_ins"), os.path.dirname(sys.executable))
        )
        self._files: dict[str, Block] = {}
        self._typed: list[str] = []

    def close(self) -> None:
        self._terminal.close()

    def follow(self) -> None:
        for block in self._blocks:
            getattr(self, block.language)(block)
        for name, block in self._files.items():
            assert self._is_run(name), f"{block.place}: nothing runs {name}"

    def python(self, block: Block) -> None:
        if block.file:
            self._write(block.file, block)
        else:
            execute(block)

    def bash(self, block: Block) -> None:
        assert block.file, f"{block.place}: a script has a name in its first line"
        self._write(block.file, block)

    def toml(self, block: Block) -> None:
        tomllib.loads(block.text)  # the daemon of this page was started with it

    def console(self, block: Block) -> None:
        for line in session(block.text):
            self._typed.append(line.command)
            self._terminal.check(line, block.place)

    def sh(self, block: Block) -> None:
        key = next(((page, line) for page, line in NOT_RUN if page == block.page and block.text.startswith(line)), None)
        if key is None:
            said, code = self._terminal.type(f"(set -e\n{block.text})")
            assert code == 0, f"{block.place}:\n" + "\n".join(said)
        else:
            used.add(key)
            for line in block.text.splitlines():
                assert (why := wrong_with(line)) is None, f"{block.place}: {line}: {why}"

    def _write(self, name: str, block: Block) -> None:
        file = self._home / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text, encoding="utf-8")
        self._files[name] = block

    def _is_run(self, name: str) -> bool:
        """It is typed, or what is typed imports it."""
        module = name.removesuffix(".py").replace("/", ".")
        typed = "\n".join(self._typed)
        others = "\n".join(block.text for other, block in self._files.items() if other != name)
        return name in typed or f"{module}:" in typed or f"from {module} import" in others or f'"{module}:' in others


def execute(block: Block) -> None:
    """In this process, which is quicker than a new one."""
    exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})


def wrong_with(line: str) -> str | None:
    """What is not so in a command line that is not run: it names programs, units and extras that there are."""
    words = shlex.split(line, comments=True)
    if "&&" in words:
        at = words.index("&&")
        return wrong_with(shlex.join(words[:at])) or wrong_with(shlex.join(words[at + 1 :]))
    match words:
        case []:
            return None
        case ["jobkeep", *_]:
            return refusal_of(words)
        case ["make", target, *_]:
            return None if f"\n{target}:" in text_of("Makefile") else "there is no such target"
        case ["systemctl", verb, *units]:
            there = {path.name for path in (ROOT / "systemd").rglob("*.s*")}
            strange = {unit for unit in units if not unit.startswith("-")} - there
            known = {"enable", "disable", "restart", "edit"}
            return f"there is no {strange}" if strange else None if verb in known else f"{verb} is no verb of it"
        case [pip, "install", *rest] if pip.endswith("pip"):
            extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
            packages = [re.fullmatch(r"(?:jobkeep|\.)(?:\[([\w,]+)\])?", word) for word in rest if word[0] != "-"]
            named = {extra for one in packages for extra in ((one[1] or "daemon").split(",") if one else ["?"])}
            return f"there is no extra {named - extras.keys()}" if named - extras.keys() else None
        case ["usermod", "-aG", groups, _]:
            made = text_of("systemd/sysusers.conf")
            return None if all(re.search(rf"^[ug] {each} ", made, re.M) for each in groups.split(",")) else "no group"
        case ["PYTHONPATH=.", *_]:
            return wrong_with(shlex.join(words[1:]))
        case ["dask", part, *rest]:
            params = pytest.importorskip(f"distributed.cli.dask_{part}").main.params
            strange = {word for word in rest if word.startswith("--")} - {name for each in params for name in each.opts}
            return f"{part} has no {strange}" if strange else None
        case ["python3", "-m", "venv", _] | ["ln", "-s", "/opt/jobkeep/bin/jobkeep", _] | [".", _]:
            return None
    return "nobody knows what to check here"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return tmp_path / "work"


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.language in RUN for block in BLOCKS[page])])
def test_the_blocks_of_a_page_run_from_top_to_bottom(
    page: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one shell and against one daemon, with the page's own files and configuration."""
    daemon = PrivateDaemon()
    here = dict(zip(OTHERWISE, (str(free_port()), "total=3", "3/3", str(daemon.socket)), strict=True))
    text = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], text_of(page))
    blocks = [block for block in blocks_of(page, text) if block.language in RUN]
    configuration = home.parent / "config.toml"
    configuration.write_text("\n".join(block.text for block in blocks if block.language == "toml"), encoding="utf-8")
    monkeypatch.setenv("JOBKEEP_SOCKET", str(daemon.socket))
    path = [str(HERE / "stand_ins"), os.path.dirname(sys.executable), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    daemon._settings["JOBKEEP_CONFIG"] = str(configuration)
    with daemon:
        followed = Page(blocks, daemon, home)
        try:
            followed.follow()
        finally:
            followed.close()


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in BLOCKS[page] if block.language not in RUN], ids=lambda b: b.place
)
def test_a_block_that_is_not_run_makes_sense(block: Block) -> None:
    """A language that nobody knows here fails: there is none that is left out."""
    match block.language:
        case "varlink":
            assert varlink.scanner.Interface(block.text).name.startswith("org.")
        case "ini":
            parser = configparser.ConfigParser(strict=True)
            parser.read_string(block.text)
            assert parser.sections()
            assert all(len(parser[section]) for section in parser.sections())
        case "mermaid":
            drawn(block)
        case "text":
            shown(block)
        case _:
            pytest.fail(f"{block.place}: nobody knows what to do with {block.language or 'no language'!r}")


def drawn(block: Block) -> None:
    """A chart of parts that there are, or of states of a job."""
    kind, *lines = block.text.splitlines()
    if kind.startswith("flowchart"):
        names = {"client", *(path.stem for path in (ROOT / "daemon/jobkeepd").iterdir())}
        for line in lines:
            edge = re.fullmatch(r'(\w+)(?:\[".*"\])? --(?: ".*" --)?> (\w+)(?:\[".*"\])?', line.strip())
            assert edge, line
            assert {edge[1], edge[2]} <= names, line
    else:
        assert kind == "stateDiagram-v2"
        for line in lines:
            edge = re.fullmatch(r"(\w+|\[\*\]) --> (\w+): .+", line.strip())
            assert edge, line
            assert {edge[1], edge[2]} <= {*LIVE_STATES, *ENDED_STATES, "[*]"}, line


def shown(block: Block) -> None:
    """A drawing, or an overview of command lines: each of them is one."""
    for line in block.text.splitlines():
        for phrase in re.split(r"  +(?=jobkeep )|  +", line):
            if phrase.startswith("jobkeep "):
                assert (why := refusal_of(shlex.split(phrase))) is None, f"{block.place}: {phrase}: {why}"


def test_no_exception_is_left_over() -> None:
    """Each stands for a block or a word that there is; their number is known."""
    for page, line in NOT_RUN:
        assert [block for block in BLOCKS[page] if block.language == "sh" and block.text.startswith(line)], line
    for word in OTHERWISE:
        assert any(word in text_of(page) for page in PAGES), word
    assert len(NOT_RUN) == 11
    assert sum(len(blocks) for blocks in BLOCKS.values()) > 50
