"""The training loop, what it remembers, and what watches it."""
