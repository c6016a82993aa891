"""The sessions of the store: list, table, search."""
