"""The warm process that runs functions: `python -m jobkeep.worker`."""
