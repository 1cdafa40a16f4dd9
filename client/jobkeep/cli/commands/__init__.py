"""One module per command: its docstring describes it, `add_arguments` declares, `run` does."""
