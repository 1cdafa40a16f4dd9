"""Current truth and its journal, in one transaction."""
