"""Activation regularisation against numbers computed by hand, and columns that forget."""

import pytest
import torch

from lstmlm.config.model import LSTMOptions
from lstmlm.config.training import RegularizationOptions
from lstmlm.models.backbone import Backbone, DropoutOptions
from lstmlm.randomness import Randomness
from lstmlm.training.regularization import activation_penalty, reset_columns

OUTPUTS = [[[1.0, 2.0]], [[3.0, 1.0]], [[3.0, -1.0]]]  # three steps, one column, two units
FEATURES = [[[2.0, 0.0]], [[6.0, 0.0]], [[6.0, 0.0]]]  # the same with the second unit dropped


def test_value_and_gradient_by_hand() -> None:
    outputs = torch.tensor(OUTPUTS, dtype=torch.float64, requires_grad=True)
    features = torch.tensor(FEATURES, dtype=torch.float64, requires_grad=True)
    penalty = activation_penalty(RegularizationOptions(alpha=2, beta=3), features, outputs)
    # Squares 4 + 36 + 36 over six features; differences (2, -1), (0, -2), squared 4 + 1 + 0 + 4 over four.
    assert penalty.item() == pytest.approx(2 * 76 / 6 + 3 * 9 / 4)
    penalty.backward()
    assert features.grad is not None and outputs.grad is not None
    torch.testing.assert_close(features.grad, 2 * 2 * features.detach() / 6)
    by_hand = torch.tensor([[[-2.0, 1.0]], [[2.0 - 0, -1.0 + 2]], [[0.0, -2.0]]], dtype=torch.float64)
    torch.testing.assert_close(outputs.grad, 3 * 2 * by_hand / 4)


def test_each_term_alone() -> None:
    outputs, features = torch.tensor(OUTPUTS), torch.tensor(FEATURES)
    assert activation_penalty(RegularizationOptions(), features, outputs) == 0
    assert activation_penalty(RegularizationOptions(alpha=2), features, outputs) == pytest.approx(2 * 76 / 6)
    assert activation_penalty(RegularizationOptions(beta=3), features, outputs) == pytest.approx(3 * 9 / 4)


def test_a_window_of_one_step_has_no_differences() -> None:
    outputs, features = torch.tensor(OUTPUTS[:1]), torch.tensor(FEATURES[:1])
    assert activation_penalty(RegularizationOptions(alpha=2, beta=3), features, outputs) == pytest.approx(2 * 4 / 2)


def test_a_column_forgets_in_all_layers_or_in_none() -> None:
    backbone = Backbone(LSTMOptions(n_layers=2, hidden_size=3), 3, DropoutOptions())
    initial = backbone.initial_state(1000)
    carried = tuple(type(cell_state)(*(part + 1 for part in cell_state)) for cell_state in initial)
    after = reset_columns(carried, initial, 0.25, Randomness(1, step=5))
    parts = torch.cat([part for cell_state in after for part in cell_state], dim=1)
    assert torch.equal(parts, parts[:, :1].expand_as(parts))
    assert 0.2 < (parts[:, 0] == 0).double().mean() < 0.3
    again, later = (reset_columns(carried, initial, 0.25, Randomness(1, step))[0][0] for step in (5, 6))
    assert torch.equal(after[0][0], again)
    assert not torch.equal(after[0][0], later)
    assert reset_columns(carried, initial, 0, Randomness(1)) is carried
