"""The wiring of layers: what the softmax reads, and which way each is computed."""

import pytest
import torch

from lstmlm.config import RunConfig
from lstmlm.config.model import BackboneOptions, DropoutOptions, LSTMOptions
from lstmlm.models.backbone import Backbone
from lstmlm.models.cells.cell import CellState
from lstmlm.randomness import Randomness

TIME, BATCH, INPUT, HIDDEN = 6, 2, 3, 4


def build(options: BackboneOptions, dropout: DropoutOptions | None = None) -> Backbone:
    backbone = Backbone(options, INPUT, dropout or DropoutOptions())
    for level, cell in enumerate(backbone.layers):
        cell.initialize(Randomness(1).generator(str(level)))
    return backbone


def run(backbone: Backbone, randomness: Randomness | None = None) -> tuple[torch.Tensor, tuple[CellState, ...]]:
    inputs = torch.randn(TIME, BATCH, INPUT, generator=torch.Generator().manual_seed(0))
    return backbone(inputs, backbone.initial_state(BATCH), randomness)


@pytest.mark.parametrize("implementation", ["reference", "auto"])
def test_a_sum_of_layers_adds_the_outputs_of_shorter_stacks(implementation: str) -> None:
    """A stack of k layers has the same lower layers whatever is above, so its output is that of layer k."""
    options = {"hidden_size": HIDDEN, "implementation": implementation}
    summed, state = run(build(LSTMOptions.model_validate({**options, "n_layers": 3, "skip": "layer_sum"})))
    shorter = [run(build(LSTMOptions.model_validate({**options, "n_layers": n})))[0] for n in (1, 2, 3)]
    torch.testing.assert_close(summed, shorter[0] + shorter[1] + shorter[2], rtol=0, atol=0)
    torch.testing.assert_close(state[2].hidden, shorter[2][-1], rtol=0, atol=0)


def test_a_sum_adds_outputs_before_the_dropout_between_layers() -> None:
    """What a layer hands up is dropped; what it adds to the sum is dropped with the features, by dropout.output."""
    dropout = DropoutOptions(hidden=0.9)
    first, _ = run(build(LSTMOptions(n_layers=1, hidden_size=HIDDEN)))
    options = {"n_layers": 2, "hidden_size": HIDDEN}
    second, _ = run(build(LSTMOptions.model_validate(options), dropout), Randomness(1, step=1))
    summed, _ = run(build(LSTMOptions.model_validate({**options, "skip": "layer_sum"}), dropout), Randomness(1, step=1))
    torch.testing.assert_close(summed, first + second, rtol=0, atol=0)


def test_a_sum_of_one_layer_warns() -> None:
    config = RunConfig.model_validate(
        {
            "data": {"corpus": "./x"},
            "model": {"backbone": {"name": "gru", "n_layers": 1, "skip": "layer_sum"}},
            "training": {"n_steps": 1},
        }
    )
    assert config.warnings() == ["model.backbone.skip: has no effect on a single layer."]
