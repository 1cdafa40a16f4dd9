"""A host in virtual time: the real supervisor, store rules and seats on it, and everything that may happen to them.

`python -m simulation SEED` replays one story; a seed that fails is printed by the tests.
"""
