"""How well a text is predicted, in figures for the whole of it.

- `perplexity`: one model. Every other figure here is made of the same nats.
- `comparison`: two models, and whether other sentences might have said otherwise.
- `ensemble`: several models, their probabilities averaged.
- `ngram`: a model and n-grams, alone and together.
- `token_file`: what a model says of every token, as a file.
- `combination`: several such files, with weights that are found on another text.

Each returns a report. `interpolation`, in the folder above, averages the probabilities of the last two.
"""
