"""What the text so far tells about the rest of it.

`adaptation` goes through the methods in the order in which they build on each other. The methods are `temperature`
(logits divided by a number), `neural_cache` (words come again), and `dynamic` (the model learns from what it reads).
`search` finds their parameters on a validation text. `questions.py` takes `adaptation`, and from `dynamic` what it
measures on the training text.
"""
