"""What every export is held to: the log-probabilities of the model that it was made from."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from lstmlm.errors import CheckpointError
from lstmlm.models.language_model import LanguageModel

TOLERANCE = 1e-6
"""By how much a log-probability (nats) may differ: in float64, where the order of sums makes nothing of it, so that an
unstable recurrence is no other model."""

N_STEPS, N_TEXTS = 24, 2


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
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.vocab_size, (N_STEPS, N_TEXTS), generator=generator)
    model = deepcopy(model).double()
    features, _ = model(ids, model.initial_state(N_TEXTS))
    difference = (log_probabilities(ids) - model.output_layer.log_probabilities(features)).abs().max().item()
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{path}: gives other probabilities than the run (by up to {difference:.3g} nats), and is removed. "
            "Report this as a fault of lstmlm."
        )
