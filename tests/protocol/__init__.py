"""Tests of the protocol, without any I/O."""
