"""A PNG with 256 colours, which is a third as large: pages have few, and edges of letters are near one of them."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, PALETTE = 2, 3
COLOURS = 256
APART = 48  # squared: about four steps of each of the three


def reduced(png: bytes) -> bytes:
    """The same picture; it must have 8 bits for each of red, green and blue, as screenshots do."""
    parts = list(chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    assert (depth, kind, interlaced) == (8, RGB, 0)
    rows = list(unfiltered(zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT")), width, height))
    pixels = [row[at : at + 3] for row in rows for at in range(0, len(row), 3)]
    counted = Counter(pixels)
    palette = chosen([colour for colour, _ in counted.most_common()])
    index = {colour: nearest(colour, palette) for colour in counted}
    lines = (pixels[at : at + width] for at in range(0, len(pixels), width))
    packed = b"".join(b"\0" + bytes(index[pixel] for pixel in line) for line in lines)
    return SIGNATURE + b"".join(
        (
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)),
            chunk(b"PLTE", b"".join(palette)),
            chunk(b"IDAT", zlib.compress(packed, 9)),
            chunk(b"IEND", b""),
        )
    )


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def chosen(colours: list[bytes]) -> list[bytes]:
    """The most frequent ones come first, and no other one is as near to them: so a lonely green dot stays green."""
    found: list[bytes] = []
    for colour in colours:
        if len(found) < COLOURS and all(distance(colour, other) >= APART for other in found):
            found.append(colour)
    return found


def nearest(colour: bytes, palette: list[bytes]) -> int:
    return min(range(len(palette)), key=lambda at: distance(colour, palette[at]))


def distance(one: bytes, other: bytes) -> int:
    """Squared."""
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


def unfiltered(data: bytes, width: int, height: int) -> Iterator[bytes]:
    """Rows of bytes: each is written as its difference from its neighbours, in one of five ways."""
    size = width * 3
    above = bytearray(size)
    for number in range(height):
        begin = number * (size + 1)
        way, row = data[begin], bytearray(data[begin + 1 : begin + 1 + size])
        for at in range(size):
            left, corner = (row[at - 3], above[at - 3]) if at >= 3 else (0, 0)
            expected = (0, left, above[at], (left + above[at]) // 2, paeth(left, above[at], corner))[way]
            row[at] = (row[at] + expected) & 255
        yield bytes(row)
        above = row


def paeth(left: int, above: int, corner: int) -> int:
    """The one of the three that is nearest to left + above - corner."""
    about = left + above - corner
    return min((left, above, corner), key=lambda value: abs(about - value))
