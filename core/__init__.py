"""The recovery engine of Hermes Rescue: plain Python, no Qt, usable from a script, a terminal or a window."""
