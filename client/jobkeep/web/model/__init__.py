"""What pages show, as pure functions of what the daemon says and of the time."""
