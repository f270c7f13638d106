"""Combining scores: how the total of a hypothesis is made, which weights leave the fewest errors, and how many."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from lstmlm.errors import ConfigError
from lstmlm.evaluation.bootstrap import ratio_interval
from lstmlm.evaluation.report import Row, Value
from lstmlm.evaluation.rescoring.error_rate import Metric, edit_distances, units_of
from lstmlm.evaluation.rescoring.formats import ScoredHypothesis

TRIED_WEIGHTS = 2.0 ** np.arange(-8, 8.25, 0.25)

TRIED_BONUSES = np.arange(-4, 12.25, 0.25)
"""Nats for each word at a weight of 1. Words cost a small language model 5 to 8 nats, which a bonus can make up for."""

TRIED_SHARES = np.arange(0, 1.25, 0.25)
"""What the recogniser's own language model has of the weight, where it has scored the hypotheses."""

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Combination:
    """How much the language models and the length count."""

    weight: float = 1.0
    length_bonus: float = 0.0
    """Nats for each word, or character where errors are counted in these."""
    first_pass_weight: float = 0.0
    """Of the recogniser's own language model."""

    def __post_init__(self) -> None:
        """Raises ConfigError if a number is not finite."""
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise ConfigError(f"{name}: expected a finite number, got {value}. Give one, such as 0.5.")

    def total(self, acoustic_score: Number, lm_nats: Number, length: Number, first_pass_score: Number) -> Number:
        """Return acoustic score + weight · ln p(words) + its like of the first pass + length bonus · length (nats)."""
        first_pass = self.first_pass_weight * first_pass_score
        return acoustic_score - self.weight * lm_nats + first_pass + self.length_bonus * length

    def lm_score(self, lm_nats: float, first_pass_score: float) -> float:
        """Return ln p(words) by both language models in the proportion of their weights (nats)."""
        both = self.weight + self.first_pass_weight
        share = self.first_pass_weight / both if both else 0
        return share * first_pass_score - (1 - share) * lm_nats


@dataclass(frozen=True)
class ErrorTable:
    """The errors of hypotheses and what chooses between them: an utterance a row, filled up to the longest list."""

    acoustic_scores: Float[np.ndarray, "utterances hypotheses"]
    """Minus infinity where there is no hypothesis, so that none is chosen."""
    lm_nats: Float[np.ndarray, "utterances hypotheses"]
    lengths: Int[np.ndarray, "utterances hypotheses"]
    first_pass_scores: Float[np.ndarray, "utterances hypotheses"]
    errors: Int[np.ndarray, "utterances hypotheses"]
    reference_lengths: Int[np.ndarray, " utterances"]

    def errors_of_chosen(self, combination: Combination) -> Int[np.ndarray, " utterances"]:
        """Return the errors that are left in each utterance; of equal totals the first is chosen."""
        totals = combination.total(self.acoustic_scores, self.lm_nats, self.lengths, self.first_pass_scores)
        errors: np.ndarray = self.errors[np.arange(len(totals)), totals.argmax(axis=1)]
        return errors

    def part(self, utterances: slice) -> "ErrorTable":
        """Return the table of some of the utterances."""
        return ErrorTable(*(column[utterances] for column in vars(self).values()))


def count_errors(
    lists: Sequence[Sequence[ScoredHypothesis]], references: Mapping[str, str], metric: Metric
) -> ErrorTable:
    """Compare every hypothesis with what was said in its utterance; those without a reference are left out.

    The first of each is the recogniser's: the one that the list numbers so, wherever it stands.
    """
    lists = [
        sorted(scored_list, key=lambda scored: scored.hypothesis.number or 0)
        for scored_list in lists
        if scored_list[0].hypothesis.utterance in references
    ]
    shape = len(lists), max(map(len, lists))
    acoustic_scores, lm_nats, lengths = np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    first_pass_scores = np.zeros(shape)
    errors = np.full(shape, np.iinfo(np.int64).max)
    reference_lengths = np.zeros(len(lists), dtype=np.int64)
    for row, scored_list in enumerate(lists):
        reference = units_of(references[scored_list[0].hypothesis.utterance], metric)
        hypotheses = [units_of(scored.hypothesis.text, metric) for scored in scored_list]
        present = slice(len(scored_list))
        acoustic_scores[row, present] = [scored.hypothesis.acoustic_score for scored in scored_list]
        lm_nats[row, present] = [scored.lm_nats for scored in scored_list]
        lengths[row, present] = [scored.length for scored in scored_list]
        first_pass_scores[row, present] = [scored.hypothesis.first_pass_score for scored in scored_list]
        errors[row, present] = edit_distances(reference, hypotheses)
        reference_lengths[row] = len(reference)
    return ErrorTable(acoustic_scores, lm_nats, lengths, first_pass_scores, errors, reference_lengths)


def find_combination(table: ErrorTable) -> Combination:
    """Find the combination that leaves the fewest errors on a grid of weights, bonuses and first-pass shares."""
    shares = TRIED_SHARES if table.first_pass_scores.any() else TRIED_SHARES[:1]
    candidates = [
        Combination(weight * (1 - share), weight * bonus, weight * share)
        for weight, bonus, share in product(TRIED_WEIGHTS, TRIED_BONUSES, shares)
    ]
    errors = np.array([table.errors_of_chosen(candidate).sum() for candidate in candidates])
    # Many do equally well. The one in the middle of them is the least likely to do worse elsewhere.
    best = np.flatnonzero(errors == errors.min())
    shape = len(TRIED_WEIGHTS), len(TRIED_BONUSES), len(shares)
    places = np.stack(np.unravel_index(best, shape), axis=1)
    from_middle = np.square(places - places.mean(axis=0)).sum(axis=1)
    return candidates[int(best[from_middle.argmin()])]


def error_rates(table: ErrorTable, combination: Combination) -> list[Row]:
    """Compare the recogniser's first hypotheses with those chosen now and with the best that the lists hold.

    Every rate has its 95 % interval over utterances, and so has what rescoring takes off.
    """
    first, rescored = table.errors[:, 0], table.errors_of_chosen(combination)
    rows = {"1-best": first, "rescored": rescored, "oracle": table.errors.min(axis=1), "reduction": first - rescored}
    return [_rate(name, errors, table.reference_lengths) for name, errors in rows.items()]


def _rate(
    name: str, errors: Int[np.ndarray, " utterances"], reference_lengths: Int[np.ndarray, " utterances"]
) -> dict[str, Value]:
    # A reference can be empty, and all that are drawn can be.
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = ratio_interval(errors.astype(np.float64), reference_lengths)
        # Standard errors know nothing of zero.
        low = max(low, 0.0) if errors.min() >= 0 else low
        rate = float(np.float64(errors.sum()) / reference_lengths.sum())
    return {"choice": name, "n_errors": int(errors.sum()), "error_rate": rate, "low": low, "high": high}
