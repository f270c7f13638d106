"""The run directory and the checkpoints in it: open formats, verified before they are believed."""
