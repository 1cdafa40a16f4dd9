"""Tests of the command line: renderers as pure functions, everything else against a scripted daemon."""
