"""Tests of the wire, on real Unix sockets."""
