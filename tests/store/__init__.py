"""What only the store on SQLite does."""
