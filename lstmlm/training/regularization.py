"""What training does to the loss and to the carried state, so that a model generalises: AR, TAR, random resets."""

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.config.training import RegularizationOptions
from lstmlm.models.backbone import BackboneState
from lstmlm.randomness import Randomness


def activation_penalty(
    options: RegularizationOptions,
    features: Float[Tensor, "time batch hidden"],
    outputs: Float[Tensor, "time batch hidden"],
) -> Float[Tensor, ""]:
    r"""Return what is added to the mean loss of a window (Merity et al. 2017, "Revisiting Activation Regularization").

    .. math::

        \alpha \, \mathrm{mean}\big((m \odot h_t)^2\big) + \beta \, \mathrm{mean}\big((h_t - h_{t-1})^2\big)

    with means over steps, columns and units, as in the authors' AWD-LSTM. Within a window there is one difference fewer
    than steps; a window of a single step has none, and its second term is 0.

    Args:
        options: alpha and beta.
        features: The last layer's outputs after dropout, m ⊙ h.
        outputs: The same before dropout, h.
    """
    penalty = features.new_zeros(())
    if options.alpha > 0:
        penalty = penalty + options.alpha * features.square().mean()
    if options.beta > 0 and len(outputs) > 1:
        penalty = penalty + options.beta * outputs.diff(dim=0).square().mean()
    return penalty


def reset_columns(
    state: BackboneState, initial: BackboneState, probability: float, randomness: Randomness
) -> BackboneState:
    """Let each column forget with `probability`: it starts the window from its `initial` state, in all layers."""
    if probability == 0:
        return state
    hidden = state[0][0]
    shape = (len(hidden) * randomness.n_parts, 1)
    of_all = randomness.bernoulli(shape, probability, "training.state_reset", hidden)
    forgets = of_all.chunk(randomness.n_parts)[randomness.part].bool()
    return tuple(
        type(carried)(*(torch.where(forgets, new, old) for new, old in zip(begun, carried, strict=True)))
        for begun, carried in zip(initial, state, strict=True)
    )
