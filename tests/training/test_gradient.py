"""The gradient of a window: what a device must be able to compute without being waited for."""

import numpy as np
import pytest
import torch

from lstmlm.config.data import DataOptions
from lstmlm.config.model import ModelOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.stream import TrainingStream
from lstmlm.distributed import ALONE
from lstmlm.models.cells import CELLS
from lstmlm.models.kernels import Execution, GemmPath
from lstmlm.models.language_model import build_language_model
from lstmlm.randomness import Randomness
from lstmlm.training.gradient import WindowGradient
from lstmlm.training.regularization import reset_columns

VOCAB = 40
NO_LINES = np.zeros(0, dtype=np.int64)
CELL_NAMES = [options.model_fields["name"].default for options in CELLS]
OUTPUTS = [
    {"name": "softmax"},
    {"name": "softmax", "projection": True},
    {"name": "mixture", "n_experts": 2, "latent_dropout": 0.1},
]
DROPOUT = {"embedding": 0.2, "input": 0.3, "hidden": 0.3, "output": 0.3, "weight_drop": 0.2, "state": 0.2}


def computed_on_meta(
    model_options: dict[str, object], execution: Execution, accumulate: int = 1
) -> list[torch.Tensor | None]:
    """Compute the windows of an epoch on torch's device without memory; return all losses, norms and gradients.

    It knows shapes and number formats but no values, so that whatever depends on a value fails: a wait for the result
    of a GPU, or a size that such a wait would have to find out. So does an operation on two devices.
    """
    tokens = np.random.default_rng(0).integers(VOCAB, size=62).astype(np.int32)
    text = EncodedText("train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
    epoch = TrainingStream(text, 0, DataOptions(corpus="./", batch_size=4, bptt=8)).epoch(0)
    model = build_language_model(ModelOptions.model_validate(model_options), VOCAB, 1).to("meta")
    options = TrainingOptions.model_validate(
        {"n_steps": 1, "accumulate": accumulate, "regularization": {"alpha": 2.0, "beta": 1.0}}
    )
    gradient = WindowGradient(options, model, execution, 1, ALONE, bptt=8, clip_norm=0.25)
    state, computed = model.initial_state(4), list[torch.Tensor | None]()
    for index in range(epoch.n_windows):
        state = reset_columns(state, model.initial_state(4), 0.1, Randomness(1, index))
        loss, norm, state = gradient.compute(epoch.window(index), state, index)
        computed += [loss, norm, *(parameter.grad for parameter in model.parameters())]
    return computed


def are_on_meta(tensors: list[torch.Tensor | None]) -> bool:
    return all(tensor is not None and tensor.is_meta for tensor in tensors)


@pytest.mark.parametrize("path", [GemmPath.NATIVE, GemmPath.BFLOAT16])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_no_cell_waits_for_the_device(cell: str, path: GemmPath) -> None:
    backbone = {"name": cell, "hidden_size": (12, 8), "n_layers": 2}
    options = {"backbone": backbone, "embedding_size": 8, "dropout": DROPOUT}
    assert are_on_meta(computed_on_meta(options, Execution(path), accumulate=2))


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("locked", [False, True])
def test_no_output_layer_and_no_dropout_waits_for_the_device(
    output: dict[str, object], tie_weights: bool, locked: bool
) -> None:
    backbone = {"name": "lstm", "hidden_size": 8, "n_layers": 2, "skip": "layer_sum"}
    options = {"backbone": backbone, "embedding_size": 8, "output": output, "tie_weights": tie_weights}
    options["dropout"] = {**DROPOUT, "locked": locked}
    assert are_on_meta(computed_on_meta(options, Execution()))


def test_an_adaptive_softmax_does_wait() -> None:
    """How many targets a cluster has, only they can say: what the tests above forbid is seen here."""
    output = {"name": "adaptive", "cutoffs": (10, 20)}
    options = {"backbone": {"name": "lstm", "hidden_size": 8}, "embedding_size": 8, "output": output}
    with pytest.raises(NotImplementedError, match="nonzero"):
        computed_on_meta(options, Execution())
