"""Repairs, what came of them, and the way back: dialogs, reports, the history."""
