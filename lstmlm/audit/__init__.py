"""Whether a run is what its configuration and corpus give: parts of its training are done again and compared.

- `audit`: which stretches between checkpoints, on what, and what came of each. Begin here.
- `repetition`: a stretch trained again, with the callbacks of a training but for those that write.
- `comparison`: two checkpoints, and the lines of two metrics files, bit for bit or within a tolerance.

Nothing here writes to a run or needs its lock.
"""
