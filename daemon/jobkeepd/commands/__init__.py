"""What `jobkeepd` does without being the daemon: `emergency`, `restore`, `install` and `check-config`."""
