"""Starts runs in slots and workers, and reports how they end."""
