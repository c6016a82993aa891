"""The window of Hermes Rescue: one front on the recovery engine in ``core``."""
