r"""Softmax temperature: logits divided by :math:`\tau`, so that :math:`p_\tau(w) \propto p(w)^{1 / \tau}`.

Of any output layer the log-probabilities do as logits, because they differ from these by a constant.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets

ROWS_PER_BLOCK = 256
"""Positions whose whole distributions are in memory together."""


@torch.no_grad()
def tempered_nats(
    output_layer: OutputLayer, features: Features, targets: Targets, temperatures: Sequence[float]
) -> Float[Tensor, "time batch temperatures"]:
    """Return the surprisal of each target (nats) at each temperature."""
    if not temperatures:
        return features.new_empty(*targets.shape, 0)
    found = features.new_empty(targets.numel(), len(temperatures))
    rows = (features.flatten(0, 1), targets.flatten(), found)
    for part, wanted, nats in zip(*(torch.split(tensor, ROWS_PER_BLOCK) for tensor in rows), strict=True):
        log_probabilities = output_layer.log_probabilities(part)
        of_targets = log_probabilities.gather(1, wanted.clamp(min=0).unsqueeze(1))[:, 0]
        for index, temperature in enumerate(temperatures):
            nats[:, index] = normalizer(log_probabilities, temperature) - of_targets / temperature
    return found.view(*targets.shape, len(temperatures))


def normalizer(log_probabilities: Float[Tensor, "rows vocab"], temperature: float) -> Float[Tensor, " rows"]:
    """Return by how much log-probabilities that are divided by `temperature` exceed those of a distribution (nats)."""
    return (log_probabilities / temperature).logsumexp(1)
