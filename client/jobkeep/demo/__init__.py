"""A real batch that is killed twice and loses nothing: `python -m jobkeep.demo`."""
