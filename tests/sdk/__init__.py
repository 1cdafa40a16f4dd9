"""The job SDK, with a port that is no worker."""
