"""The worker process, driven by a daemon that is none."""
