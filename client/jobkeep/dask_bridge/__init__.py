"""Runs of functions on an existing Dask cluster: the bridge that carries them, and what receives them there.

The bridge is a worker as the daemon sees it. Between it and the task on the cluster go messages over two topics of the
scheduler's event log, which keeps them while one of the two is away.
"""
