"""The pictures of README.md, which `make shots` draws: all there, and nothing in them of the machine they are from."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from shots.palette import SIGNATURE, chunk, chunks, reduced

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r"!\[.+?\]\((docs/shots/.+?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
DRAWN = [name for name in SHOWN if name.endswith(".svg")]
PHOTOGRAPHS = [name for name in SHOWN if name.endswith(".png")]


def test_every_picture_is_shown() -> None:
    """And every one that is shown is there."""
    assert sorted(SHOWN) == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/shots").iterdir())


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_whole_small_and_asks_nobody(name: str) -> None:
    """It names no home directory, and needs no font or anything else from the network."""
    text = (ROOT / name).read_text(encoding="utf-8")
    ElementTree.fromstring(text)

    assert len(text) < 64 * 1024
    assert "jobkeep" in text
    assert not re.search(r"/root|/home|https|url\(http|@font-face|@import|<image|<script", text)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_whole_and_small(name: str) -> None:
    """Nothing comes with it but its colours and its points."""
    png = (ROOT / name).read_bytes()
    assert png.startswith(SIGNATURE)
    assert [kind for kind, _ in chunks(png)] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(png) < 100 * 1024


def test_a_picture_of_few_colours_stays_as_it_is() -> None:
    """In each of the five ways in which rows are written: as they are, or less what is left, above, both or nearest."""
    rows = [bytes([0, *[200, 0, 0] * 2]), *(bytes([way, *[20, 0, 40] * 2]) for way in range(1, 5))]
    header = struct.pack(">IIBBBBB", 2, len(rows), 8, 2, 0, 0, 0)
    png = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    found = dict(chunks(reduced(png)))
    lines = zlib.decompress(found[b"IDAT"])
    shown = [tuple(found[b"PLTE"][3 * at :][:3]) for row in range(5) for at in lines[3 * row + 1 : 3 * row + 3]]

    assert shown == [
        (200, 0, 0), (200, 0, 0), (20, 0, 40), (40, 0, 80), (40, 0, 80), (60, 0, 120),
        (40, 0, 80), (70, 0, 140), (60, 0, 120), (90, 0, 180),
    ]  # fmt: skip
