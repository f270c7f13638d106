"""What fits into a budget, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lstmlm.config.model import ModelOptions, RNNOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.distributed import World
from lstmlm.models.language_model import build_language_model
from lstmlm.training import budget
from lstmlm.training.budget import MEASURED_ROWS, READ_AGAIN_ROWS, Costs, Forecast

COSTS = Costs(token_seconds=0.01, validation_seconds=4.0, checkpoint_seconds=1.0)


def forecast(save_every: int | None = None, costs: Costs = COSTS) -> Forecast:
    return Forecast(costs, tokens_per_step=10, validate_every=100, save_every=save_every)


@pytest.mark.parametrize(
    ("done", "n_steps", "wanted"),
    [
        (0, 250, 25 + 3 * 4 + 4),  # validations after 100, 200 and 250 steps, and the final evaluation
        (0, 200, 20 + 2 * 4 + 4),
        (0, 50, 5 + 4 + 4),
        (100, 250, 15 + 3 * 4 + 4),  # the validation of step 100 is still to come
        (101, 250, 14.9 + 2 * 4 + 4),
    ],
)
def test_seconds(done: int, n_steps: int, wanted: float) -> None:
    assert forecast().seconds(done, n_steps) == pytest.approx(wanted)


def test_seconds_with_further_checkpoints() -> None:
    # After 50 and 150 steps; those after 100 and 200 belong to validations.
    assert forecast(save_every=50).seconds(0, 250) == pytest.approx(41 + 2)
    assert forecast(save_every=70).seconds(0, 250) == pytest.approx(41 + 3)


def test_seconds_without_a_validation_split() -> None:
    costs = replace(COSTS, validation_seconds=0.0)
    # Checkpoints after 100, 200 and 250 steps, and nothing to evaluate.
    assert forecast(costs=costs).seconds(0, 250) == pytest.approx(25 + 3)
    assert forecast(costs=costs, save_every=50).seconds(0, 250) == pytest.approx(25 + 5)


@pytest.mark.parametrize(
    ("seconds", "done", "wanted"),
    [(41.01, 0, 250), (40.95, 0, 249), (31.01, 100, 250), (0, 100, 101), (-5, 100, 101), (13.01, 0, 50)],
)
def test_the_steps_that_fit(seconds: float, done: int, wanted: int) -> None:
    assert forecast().n_steps_within(seconds, done) == wanted


@pytest.mark.parametrize(
    ("seconds", "done", "wanted"),
    [(40.01, 0, 240), (39.95, 0, 200), (36.11, 0, 200), (16.11, 199, 240), (16.05, 199, 200), (15.95, 200, 239)],
)
def test_no_validation_comes_for_fewer_steps_than_it_takes(seconds: float, done: int, wanted: int) -> None:
    # A validation takes as long as 40 steps: a plan has as many after the last of them that comes regularly, or none.
    assert forecast().n_steps_within(seconds, done) == wanted


def test_seldom_validations_take_a_small_part_and_end_together_with_the_training() -> None:
    # A validation of 3 s may come every 100 s, which are 1,000 steps; 3,050 fit with four of them: three parts.
    costs = Costs(token_seconds=0.01, validation_seconds=3.0, checkpoint_seconds=1.0)
    assert forecast(costs=costs).seldom(320.01) == 1017
    assert forecast(costs=costs).seldom(56.01) == 500  # no time for more than the last: 50 s and twice 3 s


@pytest.mark.parametrize(
    ("n_tokens", "world", "n_read", "rows"),
    [
        (32 * 5000, World(), 32 * MEASURED_ROWS, 5000 + READ_AGAIN_ROWS),
        (64 * 5000, World(rank=1, size=2), 32 * MEASURED_ROWS, 5000 + READ_AGAIN_ROWS),
        (3999, World(), MEASURED_ROWS, 3999),  # one column: nothing to join
        (3999, World(rank=0, size=2), MEASURED_ROWS, 3999),
        (150, World(), 150, 150),
    ],
)
def test_a_rehearsed_validation_reads_nothing_twice(
    n_tokens: int, world: World, n_read: int, rows: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(budget, "score_each", lambda model, texts, start_id: seen.extend(texts))
    no_lines = np.zeros(0, dtype=np.int64)
    valid = EncodedText("valid.txt", "valid", np.zeros(n_tokens, dtype=np.int32), 0, no_lines, no_lines, 0, 0, "")
    model = build_language_model(ModelOptions(backbone=RNNOptions(hidden_size=2), embedding_size=2), 3, seed=1)
    part = budget._read_a_part(model, valid, 0, world)
    assert sum(map(len, seen)) == n_read
    assert part == pytest.approx(min(MEASURED_ROWS, n_tokens) / rows)
