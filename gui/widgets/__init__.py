"""What every part of the window is made with: theme, notices, placeholders, commands."""
