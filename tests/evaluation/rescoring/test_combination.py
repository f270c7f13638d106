"""Weights and the errors they leave, by hand and on lists made so that the best weights are known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstmlm.corpus.reading.text_files import Line
from lstmlm.errors import ConfigError
from lstmlm.evaluation.rescoring.combination import Combination, ErrorTable, count_errors, error_rates, find_combination
from lstmlm.evaluation.rescoring.formats import Hypothesis, ScoredHypothesis


def scored(utterance: str, *hypotheses: tuple[str, float, float]) -> list[ScoredHypothesis]:
    """Make a list of texts with their acoustic scores and nats."""
    line = Line(Path("lists"), 1, "")
    return [
        ScoredHypothesis(Hypothesis(utterance, text, acoustic_score, line), nats, 0, 0, len(text.split()), 0.0, -nats)
        for text, acoustic_score, nats in hypotheses
    ]


# Ragged, with a reference for the first two, of which the first has three words and the second two.
LISTS = [
    scored("a", ("x x c", -10, 9), ("a b c", -12, 6), ("a b", -13, 4)),
    scored("b", ("d e", -5, 5), ("d", -6, 1)),
    scored("unknown", ("f", -1, 1)),
]
TABLE = count_errors(LISTS, {"a": "a b c", "b": "d e"}, "wer")


def test_the_total_is_in_nats() -> None:
    assert Combination(weight=0.5, length_bonus=2.0).total(-10.0, 6.0, 3.0, -8.0) == -10 - 3 + 6
    assert Combination().total(-10.0, 6.0, 3.0, -8.0) == -16


def test_errors_of_ragged_lists() -> None:
    assert TABLE.errors[0].tolist() == [2, 0, 1]
    assert TABLE.errors[1, :2].tolist() == [0, 1]
    assert TABLE.reference_lengths.tolist() == [3, 2]


def test_errors_in_characters() -> None:
    table = count_errors([scored("a", ("ab c", 0, 0))], {"a": "abd"}, "cer")
    assert (table.errors.tolist(), table.reference_lengths.tolist()) == ([[1]], [3])


@pytest.mark.parametrize(
    ("combination", "errors"),
    [
        (Combination(0.0), [2, 0]),
        (Combination(1.0), [1, 1]),
        (Combination(1.0, length_bonus=2.0), [0, 1]),
        (Combination(1.0, length_bonus=4.0), [0, 0]),
    ],
)
def test_errors_of_what_is_chosen(combination: Combination, errors: list[int]) -> None:
    assert TABLE.errors_of_chosen(combination).tolist() == errors


def test_rates_by_hand() -> None:
    rows = error_rates(TABLE, Combination(1.0, length_bonus=4.0))
    assert [(row["choice"], row["n_errors"], row["error_rate"]) for row in rows] == [
        ("1-best", 2, 2 / 5),
        ("rescored", 0, 0.0),
        ("oracle", 0, 0.0),
        ("reduction", 2, 2 / 5),
    ]
    # Of four equally likely pairs of utterances one is the first twice and one the second twice, both without an error
    # of their own, for which a tenth of that of both is taken: 0.4 + 0.4 / 0.1.
    assert (rows[0]["low"], rows[0]["high"]) == (0.0, pytest.approx(4.4))


def test_the_first_is_what_the_list_numbers_so() -> None:
    """Kaldi's lists are sorted as text, or in no order at all."""
    [given] = [scored("a", ("x y", 0, 9), ("a b", 0, 5), ("a y", 0, 7))]
    numbered = [
        replace(one, hypothesis=replace(one.hypothesis, number=number))
        for one, number in zip(given, (10, 1, 2), strict=True)
    ]
    table = count_errors([numbered], {"a": "a b"}, "wer")
    assert table.errors.tolist() == [[0, 1, 2]]
    assert error_rates(table, Combination())[0]["n_errors"] == 0


def test_an_utterance_in_which_nothing_was_said() -> None:
    table = count_errors([scored("a", ("x", 0, 0)), scored("b", ("x y", 0, 0))], {"a": "", "b": "x y"}, "wer")
    [row, *_] = error_rates(table, Combination())
    assert (row["n_errors"], row["error_rate"]) == (1, 0.5)
    [row, *_] = error_rates(table.part(slice(1)), Combination())
    assert row["error_rate"] == math.inf


def noisy_lists(weight: float, length_bonus: float, n_utterances: int) -> ErrorTable:
    """Make lists in which the hypothesis without errors is the best by these weights, but for noise."""
    generator = np.random.default_rng(1)
    shape = (n_utterances, 20)
    nats, lengths = generator.normal(100, 2, shape), generator.integers(13, 18, shape)
    errors = generator.integers(0, 10, shape)
    wanted_totals = -3.0 * errors + generator.normal(0, 1, shape)
    acoustic_scores = wanted_totals + weight * nats - length_bonus * lengths
    return ErrorTable(acoustic_scores, nats, lengths, np.zeros(shape), errors, np.full(n_utterances, 15))


@pytest.mark.parametrize(("weight", "length_bonus"), [(0.5, 1.0), (2**3.5, 5 * 2**3.5), (2**-5, 0.0)])
def test_the_weights_that_made_lists_are_found(weight: float, length_bonus: float) -> None:
    table = noisy_lists(weight, length_bonus, 100)
    found = find_combination(table)
    assert table.errors_of_chosen(found).sum() <= 1.1 * table.errors_of_chosen(Combination(weight, length_bonus)).sum()
    # The grid's steps are a quarter of an octave and, at the weight, a quarter of a nat; noise hides half a nat.
    assert found.weight == pytest.approx(weight, rel=0.3)
    assert found.length_bonus == pytest.approx(length_bonus, abs=0.5 * max(1, weight))


def test_the_first_pass_gets_the_share_that_it_deserves() -> None:
    table = noisy_lists(8.0, 0.0, 100)
    # The recogniser's language model knows what the other only guesses.
    guessed = table.lm_nats + np.random.default_rng(2).normal(0, 5, table.lm_nats.shape)
    found = find_combination(replace(table, lm_nats=guessed, first_pass_scores=-table.lm_nats))
    assert found.weight == 0
    assert found.first_pass_weight == pytest.approx(8.0, rel=0.3)


def test_what_is_written_joins_both_language_models() -> None:
    assert Combination(3.0, 0.0, first_pass_weight=1.0).lm_score(6.0, -10.0) == -0.75 * 6 - 0.25 * 10
    assert Combination(0.0, 0.0, first_pass_weight=0.0).lm_score(6.0, -10.0) == -6
    assert Combination(0.5, 2.0, 0.25).total(-10.0, 6.0, 3.0, -8.0) == -10 - 3 + 6 - 2


@pytest.mark.parametrize("name", ["weight", "length_bonus", "first_pass_weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_are_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected a finite number, got {value}"):
        Combination(**{name: value})


def test_of_many_equal_combinations_the_middle_one_is_found() -> None:
    # The second is right, and chosen from a weight of 1/4 on; the third is wrong, and chosen from a weight of 4 on.
    lists: Sequence[list[ScoredHypothesis]] = [scored("a", ("x", 0, 100), ("a", -1, 96), ("y", -5, 95))]
    found = find_combination(count_errors(lists, {"a": "a"}, "wer"))
    assert found.weight == 1.0
