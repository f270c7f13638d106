"""The kinds of dropout: which units share a mask, and that what stays makes up for what goes."""

import pytest
import torch

from lstmlm.models.cells.cell import CellWeights
from lstmlm.models.dropout import dropout, keep_mask, state_mask, weight_drop
from lstmlm.randomness import Randomness, realised

TIME, BATCH, WIDTH = 7, 4, 50


def dropped(*, locked: bool, step: int = 1, site: str = "dropout.input") -> torch.Tensor:
    return dropout(torch.ones(TIME, BATCH, WIDTH), 0.5, Randomness(1, step), site, locked=locked)


def test_a_locked_mask_is_the_same_at_all_steps_of_a_window_and_nowhere_else() -> None:
    mask = dropped(locked=True)
    assert torch.equal(mask, mask[:1].expand_as(mask))
    assert len({tuple(column.tolist()) for column in mask[0]}) == BATCH
    assert not torch.equal(dropped(locked=True, step=2), mask)
    assert not torch.equal(dropped(locked=True, site="dropout.output"), mask)


def test_an_unlocked_mask_is_another_at_every_step_and_in_every_column() -> None:
    mask = dropped(locked=False)
    assert len({tuple(units.tolist()) for units in mask.flatten(0, 1)}) == TIME * BATCH


@pytest.mark.parametrize("locked", [True, False])
def test_nothing_is_dropped_without_randomness_or_at_probability_zero(locked: bool) -> None:
    x = torch.randn(TIME, BATCH, WIDTH)
    assert dropout(x, 0.5, None, "a", locked=locked) is x
    assert dropout(x, 0.0, Randomness(1), "a", locked=locked) is x


@pytest.mark.parametrize("probability", [0.1, 0.369, 0.95])
def test_the_expected_value_of_a_mask_is_one(probability: float) -> None:
    mask = keep_mask((300, 300), torch.zeros((), dtype=torch.float64), probability, Randomness(1), "a")
    (nothing, scale) = mask.unique().tolist()
    assert nothing == 0
    assert scale * realised(1 - probability) == pytest.approx(1, rel=1e-15)
    assert scale == pytest.approx(1 / (1 - probability), rel=2e-4)


def test_state_dropout_has_a_mask_of_its_own_for_each_column() -> None:
    hidden = torch.zeros(BATCH, WIDTH)
    mask = state_mask(hidden, 0.5, Randomness(1, 1), "dropout.state.0")
    assert mask is not None
    assert len({tuple(column.tolist()) for column in mask}) == BATCH
    assert state_mask(hidden, 0.5, None, "a") is None
    assert state_mask(hidden, 0.0, Randomness(1), "a") is None


def test_weight_drop_leaves_the_raw_weights_alone_and_drops_others_in_the_next_window() -> None:
    weights = CellWeights(torch.ones(8, 3), torch.ones(8, 2), torch.ones(8))
    first, second = (weight_drop(weights, 0.5, Randomness(1, step), "dropout.weight.0") for step in (1, 2))
    assert set(first.weight_hh.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first.weight_hh, second.weight_hh)
    assert first.weight_ih is weights.weight_ih and first.bias is weights.bias
    assert torch.equal(weights.weight_hh, torch.ones(8, 2))
