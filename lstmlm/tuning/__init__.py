"""The search for good options: `lstmlm tune`, which needs the extra `tune` (Optuna).

- `space`: what is searched, read from a YAML file and checked before the first trial.
- `study`: the trials, each a run of its own, in a study that processes share and that survives their end.
"""
