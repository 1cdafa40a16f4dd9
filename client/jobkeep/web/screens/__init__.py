"""Each page: what is asked for it, and its parts that change while it is open."""
