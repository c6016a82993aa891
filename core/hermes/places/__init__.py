"""Other places where conversations lie (formats.md, the section of that name): read only, never moved or deleted."""
