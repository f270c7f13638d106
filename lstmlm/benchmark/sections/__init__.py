"""What `lstmlm bench` measures, one kind a file.

`layers` (windows of recurrent layers), `loss` (the last layer, its time and its memory), `training_step` (whole steps)
and `reading` (evaluation and generation). A new one is a function that returns a `Section` and a line in `SECTIONS`,
which is in `benchmark/suite.py`, the only importer.
"""
