"""The daemon of jobkeep: supervises every job of one host."""

__version__ = "0.1.0"
