"""Errors of transcripts: how many words or characters have to be edited to get what was said."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

Metric = Literal["wer", "cer"]
"""Word error rate or character error rate."""


def units_of(text: str, metric: Metric) -> list[str]:
    """Cut a text into what errors are counted in: words, or characters without the white space between words."""
    words = text.split()
    return words if metric == "wer" else list("".join(words))


def edit_distances(reference: Sequence[str], hypotheses: Sequence[Sequence[str]]) -> Int[np.ndarray, " hypotheses"]:
    """Return how many units must be inserted, deleted or substituted to turn each hypothesis into the reference.

    Levenshtein's table for all hypotheses at once; a row of it is made from the row before for each unit of the
    reference.
    """
    lengths = np.array([len(hypothesis) for hypothesis in hypotheses])
    width = lengths.max()
    id_of = {unit: unit_id for unit_id, unit in enumerate(dict.fromkeys(reference))}
    units = np.full((len(hypotheses), width), -1)
    for row, hypothesis in enumerate(hypotheses):
        units[row, : len(hypothesis)] = [id_of.get(unit, -1) for unit in hypothesis]
    n_before = np.arange(1 + width)
    distances = np.tile(n_before, (len(hypotheses), 1))
    for unit in reference:
        following = distances + 1
        following[:, 1:] = np.minimum(following[:, 1:], distances[:, :-1] + (units != id_of[unit]))
        # A superfluous unit costs one more than the cell to its left: a running minimum, but for the number of units.
        distances = np.minimum.accumulate(following - n_before, axis=1) + n_before
    of_all: np.ndarray = distances[np.arange(len(hypotheses)), lengths]
    return of_all
