"""Stand-ins for ports, with a script."""
