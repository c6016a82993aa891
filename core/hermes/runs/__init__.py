"""Run and turn journals, and the runs that never came to an end."""
