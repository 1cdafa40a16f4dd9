"""The stdlib-only processes that fork: spawner, shim and the records they leave."""
