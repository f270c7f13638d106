"""Minimal pairs and test suites: sentences of which a model should find one less surprising than another.

`files` says what a file is and reads it into `items`, whose `formulas` say what should hold: pairs of `tables` and JSON
lines, and `suites` of SyntaxGym; `accuracy` asks the model and counts. `questions.py` takes `files` and `accuracy`.
"""
