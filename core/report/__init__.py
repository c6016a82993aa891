"""What is shown and handed on: differences, history, reports, excerpts."""
