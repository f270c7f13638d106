"""What `import lstmlm` gives to Python: the same workflows and questions as the command line, on texts in memory.

`model` is what `lstmlm.load` returns, `training` is `lstmlm.train`, which returns one too; `state` is how far a model
has read a text, and `arguments` refuses what is none. `harness` is the model as lm-eval asks one. Nothing is
computed here.
"""
