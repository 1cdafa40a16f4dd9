"""`jobkeep top`: model and feed know nothing of how it is drawn; the rest draws with textual (extra `top`)."""
