"""What `import lstmlm` gives to Python: the same workflows and questions as the command line, on texts in memory.

`load` and `training` are `lstmlm.load` and `lstmlm.train`, both of which return a `model`; `state` is how far a model
has read a text, and `arguments` refuses what is none. `harness` is the model as lm-eval asks one. Nothing is
computed here.
"""
