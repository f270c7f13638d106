"""How well a text is predicted, in figures for the whole of it.

- `perplexity`: one model. Every other figure here is made of the same nats.
- `comparison`: two models, and whether other sentences might have said otherwise.
- `ensemble`: several models, their probabilities averaged.
- `ngram`: a model and n-grams, alone and together.
- `token_file`: what a model says of every token, as a file.
- `combination`: several such files, with weights that are found on another text.

Each returns a report. `interpolation`, in the folder above, averages the probabilities of the last two. What asks one
model about one text is a file here and a line in `EVALUATIONS`, from which `workflows.evaluate` takes it.
"""

from lstmlm.evaluation.perplexity.perplexity import evaluate_perplexity

EVALUATIONS = {"perplexity": evaluate_perplexity}
