"""A configuration for a text and a machine, each line with its reason: what `lstmlm init` writes.

- `advice`: the text is looked at, the machine is measured, and everything is chosen in turn. Begin here.
- `survey`: what is counted of a text.
- `choices`: the rules, from counts and speed to keys.
- `writing`: choices as commented YAML.

Nothing here writes a file.
"""
