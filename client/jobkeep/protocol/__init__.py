"""What the client and the daemon say to each other: Varlink messages as msgspec Structs. Sans-io."""
