"""Questions asked of a trained model: `lstmlm eval NAME`."""

from lstmlm.evaluation.perplexity import evaluate_perplexity

EVALUATIONS = {"perplexity": evaluate_perplexity}
