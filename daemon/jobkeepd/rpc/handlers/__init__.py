"""One module per noun of the wire."""
