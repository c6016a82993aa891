"""What Hermes leaves on disk, read only: the store, its copies of each session, and how its programs see them."""
