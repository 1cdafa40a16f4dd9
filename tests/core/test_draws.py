"""Ids and secrets that are drawn."""

from jobkeepd.draws import LETTERS, Draws


def test_ids_are_twelve_unambiguous_letters_and_never_repeat() -> None:
    """Also across the pool's edges."""
    draws = Draws()
    ids = [draws.job_id() for _ in range(5000)]
    assert len(set(ids)) == 5000
    assert all(len(id) == 12 and set(id) <= set(LETTERS) for id in ids)


def test_cookies_are_128_bits_and_never_repeat() -> None:
    """Drawn from the same pool as ids, without sharing a byte."""
    draws = Draws()
    cookies = [(draws.cookie(), draws.job_id())[0] for _ in range(1000)]
    assert len(set(cookies)) == 1000
    assert {len(cookie) for cookie in cookies} == {32}
