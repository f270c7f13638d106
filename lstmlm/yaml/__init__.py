"""YAML that is read strictly, and options that are made of it.

- `strict`: text to values that know their lines; nothing is converted, merged or expanded behind one's back.
- `settings`: the values of a file and of `--set key=value`, each with the place that it came from.
- `schema`: these into checked options and back, with all mistakes at once.
- `explanation`: what each key means; `comparison`: in which keys configurations differ.

What the options are is in `lstmlm/config/`. No torch is imported.
"""
