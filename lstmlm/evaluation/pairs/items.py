"""What a model is asked: sentences, and what should hold of their surprisals."""

from collections.abc import Mapping
from dataclasses import dataclass

from lstmlm.errors import DataError
from lstmlm.evaluation.normalization import Normalization
from lstmlm.evaluation.pairs.formulas import Formula, Region, parse_formula

GOOD, BAD = "good", "bad"
"""What the sentences of a pair are called."""

PAIR_FORMULA = parse_formula(f"(*;%{GOOD}%) < (*;%{BAD}%)")

Sentences = Mapping[str, Mapping[int, str]]
"""The text of each sentence by its name, cut into regions by their numbers."""


@dataclass(frozen=True)
class Item:
    """A question with a right answer: whether a formula holds of a model's surprisals."""

    file: str
    number: str
    """Of the line in its file, or of the item in its suite."""
    paradigm: str
    """Items of one paradigm are counted together."""
    sentences: Sentences
    formula: Formula
    has_end: bool = True
    """Whether the end of a sentence counts to the whole; not where sentences break off."""


def make_item(
    file: str, number: str, paradigm: str, sentences: Sentences, formula: Formula, normalize: Normalization
) -> Item:
    """Write the sentences as a model has learnt to read them.

    Raises:
        DataError: the formula asks about a region that is not there, or nothing is left of it.
    """
    normalized = {name: {n: normalize(text) for n, text in regions.items()} for name, regions in sentences.items()}
    for region in formula.regions:
        text = _text_of(region, sentences)
        if text.split() and not _text_of(region, normalized).split():
            raise DataError(f"no word is left of {text!r}, which {region} asks about. Choose another --normalize.")
    return Item(file, number, paradigm, normalized, formula)


def _text_of(region: Region, sentences: Sentences) -> str:
    name, number = region
    if name not in sentences or number not in (None, *sentences[name]):
        raise DataError(f"has no {region}, which its formula asks about. Add it.")
    return " ".join(sentences[name].values()) if number is None else sentences[name][number]
