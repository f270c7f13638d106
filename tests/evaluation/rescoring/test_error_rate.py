"""Edit distances against the definition, and what they are counted in."""

import random
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmlm.evaluation.rescoring.error_rate import edit_distances, units_of

words = st.lists(st.sampled_from("abc"), max_size=6)


def distance_by_definition(one: Sequence[str], other: Sequence[str]) -> int:
    @cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return between(len(one), len(other))


@settings(deadline=None)  # the clock is not what is tested
@given(reference=words, hypotheses=st.lists(words, min_size=1, max_size=5))
def test_distances_are_those_of_the_definition(reference: list[str], hypotheses: list[list[str]]) -> None:
    wanted = [distance_by_definition(reference, hypothesis) for hypothesis in hypotheses]
    assert edit_distances(reference, hypotheses).tolist() == wanted


@pytest.mark.peer
def test_jiwer_counts_the_same_errors() -> None:
    jiwer = pytest.importorskip("jiwer", reason="needs jiwer: make check-peers")
    generator = random.Random(1)
    for _ in range(200):
        reference, hypothesis = (
            " ".join(generator.choices(["the", "then", "café", "dog"], k=generator.randrange(1, 12))) for _ in range(2)
        )
        for metric, counted in (("wer", str), ("cer", lambda text: " ".join(text.replace(" ", "")))):
            found = jiwer.process_words(counted(reference), counted(hypothesis))
            [own] = edit_distances(units_of(reference, metric), [units_of(hypothesis, metric)])
            assert own == found.substitutions + found.deletions + found.insertions


def test_units() -> None:
    assert units_of(" the  café\n", "wer") == ["the", "café"]
    assert units_of(" the  café\n", "cer") == list("thecafé")
    assert units_of("", "cer") == []
