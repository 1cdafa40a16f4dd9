"""Ratios to raw limits, measured in one interleaved run: `make bench`."""
