"""A job's output as lines of a page: colours as classes, and everything else that moves a cursor as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobkeep.protocol.jobs import LogChunk
from jobkeep.protocol.sizes import dropped
from jobkeep.protocol.vocabulary import Stream
from jobkeep.wording import escape

STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr")
LONGEST_LINE: Final = 8192  # characters that are shown
_CONTROL = re.compile(
    r"\x1b\[([0-9;:?]*)([ -/]*[@-~])"  # CSI: colours (m) and the rest
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
)
_ODD = re.compile(r"([^\x20-\x7e\t]+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text in one manner; `style` is a class of the style sheet, or empty."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    stream: Stream
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class Place:
    """How far the output of one run has been shown: the byte after the last whole line of each stream."""

    run: int
    stdout: int = 0
    stderr: int = 0

    def of(self, stream: Stream) -> int:
        return self.stdout if stream == "stdout" else self.stderr

    def __str__(self) -> str:
        return f"{self.run}.{self.stdout}.{self.stderr}"


def place(text: str) -> Place | None:
    """What `str` of a place was; None for anything else."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,18}){2}", text):
        return None
    run, stdout, stderr = text.split(".")
    return Place(int(run), int(stdout), int(stderr))


def cut(chunks: Sequence[LogChunk], at: Place, over: bool) -> tuple[list[Line], Place]:
    """The whole lines of what follows `at`, and how far that is. `over`: nothing will be added to the last ones."""
    ends = {stream: at.of(stream) for stream in STREAMS}
    rests: dict[Stream, bytes] = {}
    lines: list[Line] = []
    for chunk in chunks:
        if chunk.run != at.run:
            continue
        if chunk.dropped:
            cut_off = rests.pop(chunk.stream, b"")
            lines += [line(chunk.stream, cut_off)] if cut_off else []
            lines.append(Line(chunk.stream, [Piece(dropped(chunk.dropped), "odd")]))
        *whole, rest = (rests.pop(chunk.stream, b"") + chunk.data).split(b"\n")
        lines += [line(chunk.stream, each) for each in whole]
        rests[chunk.stream] = rest
        ends[chunk.stream] = chunk.offset + len(chunk.data) - len(rest)
    for stream, rest in rests.items():
        if rest and (over or len(rest) > LONGEST_LINE):
            lines.append(line(stream, rest))
            ends[stream] += len(rest)
    return lines, Place(at.run, ends["stdout"], ends["stderr"])


def line(stream: Stream, data: bytes) -> Line:
    """One line without its newline. What a carriage return would overwrite is left out, as on a terminal."""
    text = data.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    cut_off = len(text) > LONGEST_LINE
    return Line(stream, pieces(text[:LONGEST_LINE] + ("…" if cut_off else "")))


def pieces(text: str) -> list[Piece]:
    """Text between its colours."""
    if text.isprintable():
        return [Piece(text)] if text else []
    found: list[Piece] = []
    styles: list[str] = []
    end = 0
    for match in _CONTROL.finditer(text):
        found += _visible(text[end : match.start()], " ".join(styles))
        end = match.end()
        if match[2] == "m":
            styles = _styles(match[1], styles)
    return [*found, *_visible(text[end:], " ".join(styles))]


def _visible(text: str, style: str) -> list[Piece]:
    """What is not printable is shown by its code, so that nothing is hidden and no line is turned around."""
    if not text or text.isprintable():
        return [Piece(text, style)] if text else []
    found = []
    for part in _ODD.split(text):
        if not part:
            continue
        shown = part if part.replace("\t", "").isprintable() else escape(part)
        found.append(Piece(shown, style if shown == part else "odd"))
    return found


def _styles(codes: str, before: list[str]) -> list[str]:
    styles = list(before)
    for code in codes.replace(":", ";").split(";"):
        value = int(code) if code.isdigit() and len(code) < 4 else 0
        if value == 0:
            styles = []
        elif value == 1:
            styles = [*[each for each in styles if each != "bold"], "bold"]
        elif 30 <= value <= 37 or 90 <= value <= 97:
            styles = [*[each for each in styles if not each.startswith("ink-")], f"ink-{value % 10}"]
        elif value in (38, 48):  # 256 colours and true colour have no class here
            return styles
        elif value == 39:
            styles = [each for each in styles if not each.startswith("ink-")]
        elif value == 22:
            styles = [each for each in styles if each != "bold"]
    return styles
