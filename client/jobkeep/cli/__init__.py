"""The command `jobkeep`: JSON over a blocking socket and few imports, since it runs in loops and prompts."""
