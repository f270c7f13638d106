"""What runs have recorded: read from their files alone, while they train, when they are finished, wherever they lie.

- `history`: the events of one run as curves; filled by a training that goes on, or from metrics.jsonl as it grows.
- `summary`: one run in a row, with its state: training, finished, interrupted or damaged.
- `selection`: which runs are meant by names, patterns and folders.
"""
