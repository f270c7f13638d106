r"""How far back a prediction reaches: the norm of its gradient by the memories of k tokens before.

The surprisal of a token, :math:`\ell_t` (nats), depends on what the last layer remembered after the token at t - k.
Measured is the length of the gradient that backpropagation through time brings there, along every path from t:

.. math::

    \left\| \partial \ell_t / \partial h_{t-k} \right\|
    \quad \text{and, where the layer has one,} \quad
    \left\| \partial \ell_t / \partial c_{t-k} \right\|.

With a linear recurrence it is :math:`\| (W_h^\top)^k \, \partial \ell_t / \partial h_t \|`, which vanishes or explodes
with k (Bengio et al. 1994); the forget gate of an LSTM hands the gradient by :math:`c` on from step to step.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.errors import DataError
from lstmlm.evaluation.report import Row
from lstmlm.models.cells.cell import map_state, named
from lstmlm.models.language_model import LanguageModel

MAX_POSITIONS = 64

WARM_UP_TOKENS = 200
"""Read before the first state that counts; a trained network has forgotten by then that it began in the zero state."""


@dataclass(frozen=True)
class GradientNorms:
    """How strongly predictions depend on one of the memories of a model, by lag."""

    run: str
    text: str
    memory: str
    """As the state of the cell calls it: `hidden` or `cell`."""
    norms: Float[np.ndarray, "lags positions"]
    """From lag 0 up, for each token that is predicted."""

    @property
    def n_positions(self) -> int:
        """Number of tokens that are predicted."""
        return len(self.norms[0])

    @property
    def quartiles(self) -> Float[np.ndarray, "3 lags"]:
        """Lower quartile, median and upper quartile over the positions."""
        quartiles: np.ndarray = np.quantile(self.norms, (0.25, 0.5, 0.75), axis=1)
        return quartiles

    def to_rows(self) -> list[Row]:
        """Return a row for each lag."""
        about: Row = {"run": self.run, "text": self.text, "n_positions": self.n_positions, "memory": self.memory}
        return [
            {**about, "lag": lag, "norm": median, "norm_lower_quartile": lower, "norm_upper_quartile": upper}
            for lag, (lower, median, upper) in enumerate(self.quartiles.T.tolist())
        ]


def measure_gradients(
    model: LanguageModel, text: EncodedText, start_id: int, run: str, max_lag: int
) -> list[GradientNorms]:
    """Measure the gradients of up to `MAX_POSITIONS` predictions, spread evenly over `text`, for k up to `max_lag`.

    `start_id` is read before the first token; `run` is what the result calls the model, which is left as it was.

    Returns:
        The norms for each memory of the last layer, the hidden state's first.

    Raises:
        DataError: the text is too short for a lag so large.
    """
    # A copy: in float64 a product of 200 small factors is not rounded to zero, and its weights need no gradients.
    model = copy.deepcopy(model).double().requires_grad_(False)
    # A cell returns the tensors that it computed with, a kernel copies of them, to which no gradient flows.
    model.backbone.is_fused = False
    inputs, targets = _columns(text, start_id, max_lag)
    n_lags = max_lag + 1
    _, state = model(inputs[:-n_lags], model.initial_state(inputs.shape[1]))
    last = len(model.backbone.layers) - 1
    state = tuple(
        map_state(Tensor.requires_grad_, layer) if level <= last else layer for level, layer in enumerate(state)
    )
    memories: list[Tensor] = []
    for tokens in inputs[-n_lags:]:
        features, state = model(tokens[None], state)
        memories += state[last]
    gradients = torch.autograd.grad(model.output_layer.loss(features, targets), memories)
    # Columns do not influence each other: a column of the gradient of the summed loss is that of its own loss.
    norms = torch.stack(gradients).norm(dim=-1).unflatten(0, (n_lags, -1)).flip(0)
    return [
        GradientNorms(run, text.name, memory, norms[:, index].numpy())
        for index, memory in enumerate(named(state[last]))
    ]


def _columns(
    text: EncodedText, start_id: int, max_lag: int
) -> tuple[Int[Tensor, "time positions"], Int[Tensor, "1 positions"]]:
    """Cut a text into as many equal columns as there are positions; return the end of each, and what follows it."""
    n_needed = max_lag + 2
    n_positions = min(MAX_POSITIONS, text.n_tokens // n_needed)
    if n_positions == 0:
        advice = f"Give --max-lag {text.n_tokens - 2} or less." if text.n_tokens > 2 else "Name a longer text."
        raise DataError(f"{text.name}: {text.n_tokens} tokens, but a lag of {max_lag} needs {n_needed}. {advice}")
    n_rows = text.n_tokens // n_positions
    stream = torch.from_numpy(np.concatenate([[start_id], text.tokens]))
    inputs, targets = (
        tokens[: n_positions * n_rows].view(n_positions, n_rows).T for tokens in (stream[:-1], stream[1:])
    )
    return inputs[-WARM_UP_TOKENS - max_lag - 1 :], targets[-1:]
