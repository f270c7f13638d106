"""Tokenizers that another tool has learnt.

`file` is the tokenizer itself, the one named `file` in a configuration: a tokenizer.json, or a SentencePiece model that
`sentencepiece` rewrites as one. Neither runs anything that the file brings along: see `components` in the folder above,
whose table `TOKENIZERS` is the only one that imports from here.
"""
