"""Functions on a real Dask cluster of separate processes, and what may happen to it."""
