"""What every export is held to: the log-probabilities of the model that it was made from."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from lstmlm.errors import CheckpointError
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import score_each

TOLERANCE = 1e-6
"""By how much a log-probability (nats) may differ: in float64, where the order of sums makes nothing of it, so that an
unstable recurrence is no other model."""

TOLERANCE_FLOAT32 = 1e-4
"""The same of an export that computes in float32; or ten times what rounding to that makes of the run's own numbers."""

N_STEPS, N_TEXTS = 24, 2

Texts = Int64[np.ndarray, "batch time"]
"""Token ids of texts side by side, filled up to one length."""

Nats = Float[np.ndarray, "batch *time"]
"""The surprisal of each token of texts, 0 beyond their lengths; or of each text."""


@torch.inference_mode()
def require_same_log_probabilities(
    log_probabilities: Callable[[Tensor], Tensor], model: LanguageModel, path: Path
) -> None:
    """Check an export on tokens drawn at random.

    Args:
        log_probabilities: The export in float64: from ids (time, batch) to log-probabilities (time, batch, vocab).
        model: What it was made from.
        path: Where it is.

    Raises:
        CheckpointError: a log-probability differs by more than `TOLERANCE`, or is not a number.
    """
    model = deepcopy(model).double()
    ids = _drawn(model)
    features, _ = model(ids, model.initial_state(N_TEXTS))
    difference = (log_probabilities(ids) - model.output_layer.log_probabilities(features)).abs().max().item()
    _require(difference, TOLERANCE, path)


@torch.inference_mode()
def _drawn(model: LanguageModel) -> Int[Tensor, "time batch"]:
    """Draw the tokens of texts: of the first any, of the others from the model, which knows how they go on."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.vocab_size, (N_STEPS, N_TEXTS), generator=generator)
    state = model.initial_state(N_TEXTS)
    for time in range(1, N_STEPS):
        features, state = model(ids[time - 1 : time], state)
        probabilities = model.output_layer.log_probabilities(features)[0, 1:].exp()
        ids[time, 1:] = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    return ids


def require_same_nats(
    nats: Callable[[Texts, Sequence[int]], Nats],
    model: LanguageModel,
    start_id: int,
    path: Path,
) -> None:
    """Check an export that computes in float32, on texts drawn at random, of unequal lengths, with a line's end last.

    Args:
        nats: The export: from ids and lengths to the surprisal of each token, or of each text where there is one axis.
        model: What it was made from.
        start_id: The token that ends a line, and begins a text.
        path: Where it is.

    Raises:
        CheckpointError: a surprisal differs, or is not a number.
    """
    ids = _drawn(model).T.numpy().copy()
    lengths = [N_STEPS - 5 * index for index in range(N_TEXTS)]
    exact, own = np.zeros(ids.shape), np.zeros(ids.shape)
    for index, length in enumerate(lengths):
        ids[index, length - 1 :] = start_id
    texts = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    for found, computed in ((exact, deepcopy(model).double()), (own, model)):
        for index, of_text in enumerate(score_each(computed, texts, start_id)):
            found[index, : len(of_text)] = of_text
    found = nats(ids, lengths)
    if found.ndim == 1:
        exact, own = exact.sum(axis=1), own.sum(axis=1)
    tolerance = max(TOLERANCE_FLOAT32, 10 * np.abs(own - exact).max())
    _require(float(np.abs(found - exact).max()), tolerance, path)


def _require(difference: float, tolerance: float, path: Path) -> None:
    if not difference <= tolerance:
        raise CheckpointError(
            f"{path}: its log-probabilities and the run's differ by up to {difference:.3g} nats. Report this as a "
            "fault of lstmlm."
        )
