"""Tokenizers that another tool has learnt.

`file` is the tokenizer itself, the one named `file` in a configuration. What cuts its lines is an `engine`: `library`
runs a tokenizer.json, `sentencepiece` a model. Neither runs anything that the file brings along: see `components` in
the folder above, whose table `TOKENIZERS` is the only one that imports from here.
"""
