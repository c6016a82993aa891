"""What runs outside the window's thread, and what it reads and writes there."""
