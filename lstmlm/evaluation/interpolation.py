"""Linear interpolation: the probabilities of several models averaged, with weights found on a validation text."""

import numpy as np
from jaxtyping import Float

WEIGHT_TOLERANCE = 1e-6


def mixture_weights(nats: Float[np.ndarray, "models tokens"]) -> Float[np.ndarray, " models"]:
    """Return the weights with which the mixture predicts best, given the surprisal of each token for each model (nats).

    They are found by expectation maximisation (Jelinek & Mercer 1980): a model's weight is the share of the tokens that
    it accounts for.
    """
    likelihoods = np.exp(nats.min(axis=0) - nats)  # relative to the best, so that none underflows everywhere
    weights, change = np.full(len(nats), 1 / len(nats)), 1.0
    while change > WEIGHT_TOLERANCE:
        joint = weights[:, None] * likelihoods
        shares = (joint / joint.sum(axis=0)).mean(axis=1)
        weights, change = shares, np.abs(shares - weights).max()
    return weights


def mixture_nats(
    nats: Float[np.ndarray, "models tokens"], weights: Float[np.ndarray, " models"]
) -> Float[np.ndarray, " tokens"]:
    """Return the surprisal of each token (nats) where probabilities are averaged with these weights."""
    best = nats.min(axis=0)
    mixed: np.ndarray = best - np.log(weights @ np.exp(best - nats))
    return mixed
