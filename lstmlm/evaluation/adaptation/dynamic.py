r"""Dynamic evaluation: a model that learns from the text that it reads (Krause et al. 2018).

A text is read in windows. Each is scored with the weights that the windows before it have left; then the gradient g of
its own mean loss moves them, while they are drawn back toward the trained ones. With weights :math:`\theta`, trained
ones :math:`\theta_0`, learning rate :math:`\eta` and decay :math:`\lambda`,

.. math::

    \theta \leftarrow \theta - \eta \, g / (s + \epsilon \bar{s}) + \min(1, \lambda s / \bar{s}) (\theta_0 - \theta)

In the RMS form s is the root mean square of a weight's gradient over windows of the training text, and :math:`\bar{s}`
its mean over all weights; in the SGD form s is 1 and :math:`\epsilon` 0. (The paper's :math:`\epsilon` is not in units
of that mean.)
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from lstmlm.config.adaptation import DynamicOptions, RMSOptions
from lstmlm.models.backbone import detach
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.output_layers.ngram_mixture import NgramMixtureLayer
from lstmlm.scoring import Measure, nats_of

STATISTICS_COLUMNS = 100
STATISTICS_TOKENS = 50_000
"""The mean square of gradients is measured on so many tokens, in columns that begin all over the training text."""


def score_dynamically(
    model: LanguageModel,
    tokens: Integer[np.ndarray, " tokens"],
    start_id: int,
    options: DynamicOptions,
    gradient_rms: Sequence[Tensor] = (),
    *,
    measure: Measure = nats_of,
) -> Float[np.ndarray, " tokens *measures"]:
    """Return the surprisal of every token of a text (nats, float64) to a model that learns on the way.

    A copy of the model learns, as `options` say; their RMS form needs what `measure_gradient_rms` returned. `start_id`
    is read before the first token, in the zero state. `measure` finds out something else about each token.
    """
    learner = copy.deepcopy(model)
    weights = list(learner.parameters())
    text = torch.from_numpy(np.concatenate([[start_id], tokens]).astype(np.int64)).unsqueeze(1)
    inputs, targets = torch.split(text[:-1], options.window), torch.split(text[1:], options.window)
    updates = _updates(model, options, gradient_rms)
    state, measured = learner.initial_state(1), []
    for window, wanted in zip(inputs, targets, strict=True):
        features, state = learner(window, detach(state))
        with torch.no_grad():
            measured.append(measure(learner.output_layer, features, wanted).squeeze(1))
        loss = learner.output_layer.loss(features, wanted) / len(wanted)
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        with torch.no_grad():
            for weight, gradient, update in zip(weights, gradients, updates, strict=True):
                weight.lerp_(update.origin, update.pull).addcmul_(gradient, update.rate, value=-1)
    return torch.cat(measured).numpy()


class _Update(NamedTuple):
    """How the elements of one parameter are updated."""

    origin: Tensor
    """The trained weights."""
    rate: Tensor
    """What a gradient is multiplied with."""
    pull: Tensor
    """Share of the distance to the trained weights that is undone."""


def _updates(model: LanguageModel, options: DynamicOptions, gradient_rms: Sequence[Tensor]) -> list[_Update]:
    trained = [parameter.detach() for parameter in model.parameters()]
    epsilon = options.epsilon if isinstance(options, RMSOptions) else 0.0
    if not isinstance(options, RMSOptions):
        gradient_rms = [weight.new_ones(()) for weight in trained]
    mean = torch.cat([rms.flatten() for rms in gradient_rms]).mean()
    rates = [options.learning_rate / (rms + epsilon * mean) for rms in gradient_rms]
    pulls = [(options.decay * rms / mean).clamp(max=1) for rms in gradient_rms]
    return list(map(_Update, trained, rates, pulls))


def measure_gradient_rms(
    model: LanguageModel, tokens: Integer[np.ndarray, " tokens"], start_id: int, window: int
) -> list[Tensor]:
    """Return, for each parameter, the root mean square of its elements' gradients over windows of the training text.

    The windows of many columns are read side by side. At the end of training their gradients are independent draws
    around zero, so that the mean square of their sum is that of one, times the number of columns. A gradient is that of
    the mean loss of `window` tokens; `start_id` is read before the first one. The model is left as it was.

    N-grams count each token without itself, as in training: with it they would leave the network next to no gradient on
    the text that they were counted in.
    """
    layer = model.output_layer
    loss_of = partial(layer.loss, left_out=True) if isinstance(layer, NgramMixtureLayer) else layer.loss
    n_columns = max(1, min(STATISTICS_COLUMNS, len(tokens) // window))
    column_length = len(tokens) // n_columns
    n_windows = max(1, min(column_length, STATISTICS_TOKENS // n_columns) // window)
    text = torch.from_numpy(np.concatenate([[start_id], tokens]).astype(np.int64))
    rows = torch.arange(min(n_windows * window, column_length) + 1).unsqueeze(1)
    columns = text[rows + column_length * torch.arange(n_columns)]
    inputs, targets = torch.split(columns[:-1], window), torch.split(columns[1:], window)

    weights = list(model.parameters())
    squares = [torch.zeros_like(weight) for weight in weights]
    state = model.initial_state(n_columns)
    for read, wanted in zip(inputs, targets, strict=True):
        features, state = model(read, detach(state))
        gradients = torch.autograd.grad(loss_of(features, wanted) / window, weights, materialize_grads=True)
        for square, gradient in zip(squares, gradients, strict=True):
            square.addcmul_(gradient, gradient)
    return [(square / (n_columns * len(inputs))).sqrt() for square in squares]
