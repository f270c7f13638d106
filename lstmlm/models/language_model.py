"""The language model: embedding, recurrent backbone, output layer."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lstmlm.config.model import ModelOptions
from lstmlm.errors import RunMismatchError
from lstmlm.models.backbone import Backbone, BackboneState
from lstmlm.models.cells.cell import Outputs
from lstmlm.models.dropout import dropout, word_dropout
from lstmlm.models.kernels import EVALUATION, Execution
from lstmlm.models.output_layers import build_output_layer
from lstmlm.randomness import Randomness

Tokens = Int[Tensor, "time batch"]

EMBEDDING_RANGE = 0.1


class LanguageModel(nn.Module):
    """Predicts each token of a text from those before it.

    The model has no training mode: whoever wants dropout passes the step's `Randomness`, everyone else gets the same
    numbers every time.

    Example::

        state = model.initial_state(batch_size)
        features, state = model(inputs, state)                    # inputs: (time, batch) token ids
        nats = model.output_layer.nats(features, targets)         # (time, batch)
    """

    def __init__(self, options: ModelOptions, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.dropout = options.dropout
        # Given, so that it is not drawn twice: `build_language_model` draws it by the run's seed.
        vectors = torch.empty(vocab_size, options.embedding_size)
        self.embedding = nn.Embedding(vocab_size, options.embedding_size, _weight=vectors)
        self.backbone = Backbone(options.backbone, options.embedding_size, options.dropout)
        self.output_layer = build_output_layer(options, self.embedding.weight)

    def initial_state(self, batch_size: int) -> BackboneState:
        """Return the state in which a text begins."""
        return self.backbone.initial_state(batch_size)

    def forward(
        self,
        inputs: Tokens,
        state: BackboneState,
        randomness: Randomness | None = None,
        execution: Execution = EVALUATION,
    ) -> tuple[Outputs, BackboneState]:
        """Read a window of tokens, one column a text, in the state that `initial_state` or the window before returned.

        Without `randomness`, the step's draws in training, nothing is dropped; without `execution` kernels compute as
        at evaluation, in the precision of the weights.

        Returns:
            The features from which `output_layer` predicts the next token at every position, and the next state.
        """
        outputs, state = self.read(inputs, state, randomness, execution)
        return self.drop_outputs(outputs, randomness), state

    def read(
        self,
        inputs: Tokens,
        state: BackboneState,
        randomness: Randomness | None = None,
        execution: Execution = EVALUATION,
    ) -> tuple[Outputs, BackboneState]:
        """Do the first half of `forward`: return the last layer's outputs before dropout, and the next state."""
        # Where matrices are rounded (see `with_rounded_matrices`), the state tells what everything else is computed in.
        embedded, drop = self.embedding(inputs).to(state[0][0].dtype), self.dropout
        embedded = word_dropout(embedded, inputs, self.vocab_size, drop.embedding, randomness)
        embedded = dropout(embedded, drop.input, randomness, "dropout.input", locked=drop.locked)
        outputs, state = self.backbone(embedded, state, randomness, execution)
        return outputs, state

    def drop_outputs(self, outputs: Outputs, randomness: Randomness | None) -> Outputs:
        """Do the second half of `forward`: turn the last layer's outputs into features."""
        return dropout(outputs, self.dropout.output, randomness, "dropout.output", locked=self.dropout.locked)


def build_language_model(options: ModelOptions, vocab_size: int, seed: int) -> LanguageModel:
    """Build a model with initial weights that depend on `options`, `vocab_size` and `seed` alone."""
    model = LanguageModel(options, vocab_size)
    randomness = Randomness(seed)
    for level, cell in enumerate(model.backbone.layers):
        cell.initialize(randomness.generator(f"initial.layer.{level}"))
    model.output_layer.initialize(randomness)
    generator = randomness.generator("initial.embedding")
    nn.init.uniform_(model.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE, generator=generator)
    return model


def with_rounded_matrices(model: LanguageModel) -> LanguageModel:
    """Return a copy whose matrices are rounded to bfloat16: half as much to read for each token that is drawn.

    It reads windows of one token. States, sums and all else stay in the precision of `model`.
    """
    rounded = deepcopy(model)
    for parameter in rounded.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.bfloat16()
    return rounded


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of `model` by name, a shared one once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy `weights`, as `weights_of` returned them, into `model`.

    Raises:
        CheckpointError: the weights are those of a model of another shape or vocabulary; nothing was copied.
    """
    parameters = dict(model.named_parameters())
    require_alike(weights, parameters)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def require_alike(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Check that the tensors of a checkpoint have the names, shapes and number formats of those of a model.

    Raises:
        CheckpointError: they have not.
    """
    for name in sorted(found.keys() | wanted.keys()):
        there, here = (_describe(tensors.get(name)) for tensors in (found, wanted))
        if there != here:
            raise RunMismatchError(
                f"{name}: the checkpoint has {there}, the model of this configuration and vocabulary {here}. "
                "It belongs to another model."
            )


def _describe(tensor: Tensor | None) -> str:
    if tensor is None:
        return "no such weight"
    dtype = "" if tensor.dtype == torch.float32 else f" of {str(tensor.dtype).removeprefix('torch.')}"
    return f"shape {' x '.join(map(str, tensor.shape))}{dtype}"
