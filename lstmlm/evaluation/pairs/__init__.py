"""Minimal pairs and test suites: sentences of which a model should find one less surprising than another.

`files` reads pairs and suites of SyntaxGym into `items`, whose `formulas` say what should hold; `normalization` writes
plain sentences the way a corpus has them; `accuracy` asks the model and counts. `questions.py` takes `files`,
`normalization` and `accuracy`.
"""
