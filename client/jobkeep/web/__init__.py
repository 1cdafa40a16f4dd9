"""The dashboard (extra `web`): pages about the jobs of one daemon, served to its user's own browser."""
