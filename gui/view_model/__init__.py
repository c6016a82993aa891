"""What is shown, as values: rows, outlines, words. No widget is imported here."""
