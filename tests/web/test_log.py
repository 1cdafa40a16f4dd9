"""Output as lines of a page: whole lines once each, colours as classes, and nothing that deceives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeep.web.model.log import LONGEST_LINE, Piece, Place, cut, line, pieces, place
from web.fakes import chunk


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_lines_are_the_same_however_the_output_comes(data: bytes, cuts: list[int], over: bool) -> None:
    """Looked at once or bit by bit, each line is shown once, and the last one when it has ended."""
    at, found = Place(1), []
    for end in [*sorted(cuts), len(data)]:
        seen = data[at.stdout : end]
        lines, at = cut([chunk(seen, at.stdout)] if seen else [], at, False)
        found += lines
    lines, at = cut([chunk(data[at.stdout :], at.stdout)] if data[at.stdout :] else [], at, over)
    assert [*found, *lines] == cut([chunk(data)] if data else [], Place(1), over)[0]
    assert at.stdout == (len(data) if over else data.rfind(b"\n") + 1)


def test_the_two_streams_keep_apart() -> None:
    """A line of one is not broken by the other, and a run's output not mixed with the next one's."""
    chunks = [chunk(b"on"), chunk(b"error\n", stream="stderr"), chunk(b"e\n", 2), chunk(b"other\n", run=2)]
    lines, at = cut(chunks, Place(1), False)
    assert [(each.stream, each.pieces[0].text) for each in lines] == [("stderr", "error"), ("stdout", "one")]
    assert at == Place(1, 4, 6)


def test_what_rotation_has_dropped_is_a_line_of_its_own() -> None:
    """At its place in the stream, after what is left of a line before; the page goes on behind it."""
    chunks = [chunk(b"a\nb"), chunk(b"", 2051, dropped=2048), chunk(b"c\nd", 2051)]
    lines, at = cut(chunks, Place(1), False)
    shown = "… 2 KiB of older output dropped by rotation"
    assert [each.pieces for each in lines] == [[Piece("a")], [Piece("b")], [Piece(shown, "odd")], [Piece("c")]]
    assert at == Place(1, 2053, 0)


def test_colours_become_classes() -> None:
    """Those of the sixteen and bold; others, and all that moves a cursor or sets a title, leave no trace."""
    assert pieces("\x1b[1;31mred\x1b[0m plain \x1b[38;5;200mfancy\x1b[2K") == [
        Piece("red", "bold ink-1"), Piece(" plain "), Piece("fancy"),
    ]  # fmt: skip
    assert pieces("a\x1b]0;title\x07b\x1b[10;10Hc\x1b(Bd\x1bPdevice\x1b\\e") == [Piece(each) for each in "abcde"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202egnp.exe", "\\u202e"), ("\u2066x", "\\u2066"), ("a\u200bb", "\\u200b"), ("a\x00b", "\\x00"),
        ("a\x08b", "\\x08"), ("\x9b31m", "\\x9b"), ("\u2028", "\\u2028"),
    ],
)  # fmt: skip
def test_what_hides_or_turns_text_is_shown(text: str, shown: str) -> None:
    """Bidirectional overrides, invisible and control characters come as their codes, and are marked."""
    assert Piece(shown, "odd") in pieces(text)


def test_letters_of_all_scripts_stay() -> None:
    """Only what is not printable is taken for odd; a tab is a tab."""
    text = "größe 日本 🙂\tعربي"
    assert "".join(piece.text for piece in pieces(text)) == text
    assert all(piece.style == "" for piece in pieces(text))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_no_line_has_a_control_character(text: str) -> None:
    """Whatever is written, what is shown is printable."""
    assert all(piece.text.replace("\t", "").isprintable() for piece in pieces(text))


def test_a_line_that_is_overwritten_shows_its_end() -> None:
    """As a terminal would, and one without end is cut."""
    assert line("stdout", b" 1%\r 50%\r100%\r").pieces == [Piece("100%")]
    assert len(line("stdout", b"x" * 100_000).pieces[0].text) == LONGEST_LINE + 1
    lines, at = cut([chunk(b"x" * 10_000)], Place(1), False)
    assert (len(lines), at.stdout) == (1, 10_000)


def test_a_place_survives_the_way_through_the_browser() -> None:
    """As the id of the last event; anything else is no place."""
    assert place(str(Place(3, 17, 4))) == Place(3, 17, 4)
    for wrong in ("", "0", "1.2", "1.2.3.4", "1.-2.3", "a.b.c", "1.2." + "9" * 30, "١.٢.٣"):
        assert place(wrong) is None
