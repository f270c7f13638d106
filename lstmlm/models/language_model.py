"""The language model: embedding, recurrent backbone, output layer."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstmlm.config.model import ModelOptions
from lstmlm.errors import RunMismatchError
from lstmlm.models.backbone import Backbone, BackboneState
from lstmlm.models.cells.cell import Outputs
from lstmlm.models.dropout import dropout, word_dropout
from lstmlm.models.kernels import EVALUATION, Execution
from lstmlm.models.output_layers import build_output_layer
from lstmlm.models.output_layers.ngram_tables import NgramState, NgramTables
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
        self.ngrams = None if options.ngram_order is None else NgramTables(options.ngram_order, vocab_size)
        self.output_layer = build_output_layer(options, self.embedding.weight, self.ngrams)

    def initial_state(self, batch_size: int) -> BackboneState:
        """Return the state in which a text begins: of each layer, and last of the n-grams where there are any."""
        state = self.backbone.initial_state(batch_size)
        return state if self.ngrams is None else (*state, self.ngrams.initial_state(batch_size))

    def first_features(self, batch_size: int) -> Outputs:
        """Return the features from which a text's first token is predicted if nothing is read before it."""
        width = self.backbone.layers[-1].hidden_size
        outputs = self.embedding.weight.new_zeros(1, batch_size, width, dtype=self.output_layer.bias.dtype)
        return self._with_contexts(outputs, self.initial_state(batch_size)[-1][0][None])

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
        layers, ngrams = state[: len(self.backbone.cells)], state[-1]
        outputs, layers = self.backbone(embedded, layers, randomness, execution)
        if self.ngrams is None or not isinstance(ngrams, NgramState):
            return outputs, layers
        contexts = self.ngrams.contexts(inputs, ngrams)
        return self._with_contexts(outputs, contexts), (*layers, NgramState(contexts[-1]))

    def drop_outputs(self, outputs: Outputs, randomness: Randomness | None) -> Outputs:
        """Do the second half of `forward`: turn the last layer's outputs into features."""
        hidden, locked = self.hidden_of(outputs), self.dropout.locked
        dropped = dropout(hidden, self.dropout.output, randomness, "dropout.output", locked=locked)
        return outputs if dropped is hidden else self._with_contexts(dropped, outputs[..., hidden.shape[-1] :])

    def hidden_of(self, features: Float[Tensor, "*batch all"]) -> Float[Tensor, "*batch hidden"]:
        """Return what of features, or of outputs, the network has put out: all but the contexts of n-grams."""
        return features[..., : self.backbone.layers[-1].hidden_size]

    def _with_contexts(
        self, outputs: Outputs, contexts: Float[Tensor, "time batch contexts"] | Int[Tensor, "time batch contexts"]
    ) -> Float[Tensor, "time batch all"]:
        return outputs if self.ngrams is None else torch.cat([outputs, contexts.to(outputs.dtype)], dim=-1)


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
