"""The page about the protocol says what the daemon says."""

from __future__ import annotations

from protocol.page import PAGE, page


def test_the_page_about_the_protocol_is_the_one_that_would_be_written_now() -> None:
    """Else: `make docs`."""
    assert PAGE.read_text(encoding="utf-8") == page()
