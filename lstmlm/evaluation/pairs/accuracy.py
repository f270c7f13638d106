"""How often a model finds the right sentence less surprising.

Every sentence is scored as a line of its own, as it is written: from the zero state after the end of a line, its own
end included. So the sentences of a pair differ in nothing but their words, and no sentence knows of another.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import NormalDist, fmean

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.reading.white_space import cut_before_spaces, words_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DataError, counted
from lstmlm.evaluation.bootstrap import CONFIDENCE
from lstmlm.evaluation.normalization import advice as spelling_advice
from lstmlm.evaluation.pairs.formulas import Region
from lstmlm.evaluation.pairs.items import BAD, GOOD, Item
from lstmlm.evaluation.reading import AS_LINES, Reading
from lstmlm.evaluation.report import Report, Value, most_frequent

Scorer = Callable[[Sequence[Sequence[int]]], Sequence[Float[np.ndarray, " tokens"]]]
"""From the token ids of several lines to the surprisal of each token (nats)."""


@dataclass(frozen=True)
class Verdict:
    """What became of an item; what only a pair has is None for others."""

    file: str
    item: str
    paradigm: str
    nats_good: float | None
    nats_bad: float | None
    correct: bool
    tie: bool
    """Wrong only because sums are equal that should differ."""
    n_unk_good: int | None
    n_unk_bad: int | None
    n_unk: int
    """Of all sentences of the item."""
    n_tokens: int
    """Of all sentences of the item, without the ends of lines."""


@dataclass(frozen=True)
class PairsResult:
    """Accuracies, and what they sum up."""

    report: Report
    verdicts: Sequence[Verdict]
    advice: str | None
    """What to say where the model knows next to nothing of what it was asked, or tells no sentences apart."""


def measure_accuracy(
    items: Sequence[Item | DataError],
    tokenizer: Tokenizer,
    score: Scorer,
    run: str,
    normalization: str | None,
    reading: Reading = AS_LINES,
) -> PairsResult:
    """Judge items and report accuracies with 95 % intervals (Wilson): of each paradigm, of all items, and their mean.

    A tie counts as wrong in all but `accuracy_ties_half`, where it is half a right answer: what guessing would make of
    it. `mean_accuracy` gives every paradigm the same weight, as BLiMP does; `known` stands for items
    without an unknown token, and the mean over paradigms is then over those that have such items. An error stands in
    place of an item that cannot be asked. `run` and `normalization` are what the report calls the model and the way in
    which the sentences are written, `reading` is how regions make a line.

    Raises:
        DataError: a sentence that breaks off is to be asked of tokens that do not say whether a word does.
    """
    started = time.monotonic()
    askable = [item for item in items if isinstance(item, Item)]
    if not all(item.has_end for item in askable) and tokenizer.delimiter_ids:
        raise DataError(
            f"{run}: cannot say how likely a word is at which a sentence breaks off, as its tokens are parts of words, "
            "and the next one tells whether it has ended. Take a run whose tokens are words, or leave the ends on."
        )
    texts = [" ".join(regions.values()) for item in askable for regions in item.sentences.values()]
    verdicts = judge(askable, tokenizer, score, reading)

    by_paradigm: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_paradigm[verdict.paradigm].append(verdict)
    known = [_known(group) for group in by_paradigm.values() if _known(group)]
    return PairsResult(
        Report(
            {
                "run": run,
                "normalization": normalization,
                "n_paradigms": len(by_paradigm),
                "mean_accuracy": fmean(map(_accuracy, by_paradigm.values())),
                "mean_accuracy_known": fmean(map(_accuracy, known)) if known else None,
                **_summary(verdicts),
                "unk_examples": most_frequent(chain.from_iterable(map(tokenizer.unknown_pieces, texts))),
                "n_problems": len(items) - len(askable),
                "n_with_end": sum(item.has_end for item in askable),
                "seconds": round(time.monotonic() - started, 3),
            },
            rows=[{"paradigm": paradigm, **_summary(group)} for paradigm, group in by_paradigm.items()],
        ),
        verdicts,
        (None if normalization else spelling_advice(texts, tokenizer)) or _sameness(verdicts),
    )


@dataclass(frozen=True)
class _Line:
    """A sentence in tokens."""

    ids: tuple[int, ...]
    """With the end of the line and the white space before it, if it counts."""
    region_sizes: Mapping[int, int]
    """How many tokens each region has, by its number and in order."""
    n_dropped: int
    """Characters that no token stands for."""


def judge(items: Sequence[Item], tokenizer: Tokenizer, score: Scorer, reading: Reading = AS_LINES) -> list[Verdict]:
    """Score every sentence, one that occurs several times once, and say of each item whether its formula holds."""
    encoded = [
        {name: _encode(regions, tokenizer, reading, item.has_end) for name, regions in item.sentences.items()}
        for item in items
    ]
    distinct = list(dict.fromkeys(line.ids for lines in encoded for line in lines.values()))
    nats = dict(zip(distinct, score(distinct), strict=True))
    return [_verdict(item, lines, nats, tokenizer.unk_id) for item, lines in zip(items, encoded, strict=True)]


def _encode(regions: Mapping[int, str], tokenizer: Tokenizer, reading: Reading, has_end: bool) -> _Line:
    parts: dict[int, list[str]] = {}
    rest = ""
    for number, text in regions.items():
        *words, rest = cut_before_spaces(text)
        if words and any(parts.values()):
            words[0] = reading.join + words_of(words[0])[0]
        parts[number] = words
    if has_end and len(regions) == 1:  # the whole is asked for, so its words need not be told apart
        [(number, text)] = regions.items()
        ids = [tokenizer.encode_prompt(text + reading.line_end)]
        sizes = {number: len(tokenizer.encode_prompt("".join(parts[number])))}
    else:
        ids = tokenizer.encode_pieces([*chain(*parts.values()), rest + reading.line_end if has_end else ""])
        of_words = iter(ids)
        sizes = {number: sum(map(len, islice(of_words, len(part)))) for number, part in parts.items()}
    if has_end and tokenizer.ends_open_lines and reading.eos == "never":
        ids[-1] = [*ids[-1], tokenizer.start_id]
    return _Line(tuple(chain(*ids)), sizes, sum(len(tokenizer.dropped(text)) for text in regions.values()))


def _verdict(
    item: Item,
    lines: Mapping[str, _Line],
    nats: Mapping[tuple[int, ...], Float[np.ndarray, " tokens"]],
    unk_id: int | None,
) -> Verdict:
    bits: dict[Region, float] = {}
    for name, line in lines.items():
        bits |= _surprisals(name, line, nats[line.ids])
    totals = {name: float(nats[line.ids].sum()) for name, line in lines.items()}
    n_unk = {name: line.ids.count(unk_id) + line.n_dropped for name, line in lines.items()}
    correct = item.formula.holds(bits)
    return Verdict(
        file=item.file,
        item=item.number,
        paradigm=item.paradigm,
        nats_good=totals.get(GOOD),
        nats_bad=totals.get(BAD),
        correct=correct,
        tie=not correct and item.formula.holds(bits, ties_hold=True),
        n_unk_good=n_unk.get(GOOD),
        n_unk_bad=n_unk.get(BAD),
        n_unk=sum(n_unk.values()),
        n_tokens=sum(sum(line.region_sizes.values()) for line in lines.values()),
    )


def _surprisals(name: str, line: _Line, nats: Float[np.ndarray, " tokens"]) -> dict[Region, float]:
    """Return the surprisal of each region of a sentence, and of the whole with its end (bits)."""
    bits = nats / math.log(2)
    *parts, _end = np.split(bits, np.cumsum(list(line.region_sizes.values())))
    whole = {Region(name, None): float(bits.sum())}
    return whole | {Region(name, n): float(part.sum()) for n, part in zip(line.region_sizes, parts, strict=True)}


def _summary(verdicts: Sequence[Verdict]) -> dict[str, Value]:
    n_correct = sum(verdict.correct for verdict in verdicts)
    n_ties = sum(verdict.tie for verdict in verdicts)
    low, high = wilson_interval(n_correct, len(verdicts))
    known = _known(verdicts)
    return {
        "n_items": len(verdicts),
        "accuracy": n_correct / len(verdicts),
        "low": low,
        "high": high,
        "n_ties": n_ties,
        "accuracy_ties_half": (n_correct + n_ties / 2) / len(verdicts),
        "n_known": len(known),
        "accuracy_known": _accuracy(known) if known else None,
        "unk_rate": sum(verdict.n_unk for verdict in verdicts) / max(1, sum(verdict.n_tokens for verdict in verdicts)),
    }


def _sameness(verdicts: Sequence[Verdict]) -> str | None:
    """What to say of a model for which the better and the worse sentence are always the same."""
    if len(verdicts) < 2 or not all(verdict.tie for verdict in verdicts):
        return None
    return f"all of {counted(len(verdicts), 'item')} are ties: the model gives the sentences of each the same score"


def _known(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.n_unk == 0]


def _accuracy(verdicts: Sequence[Verdict]) -> float:
    return fmean(verdict.correct for verdict in verdicts)


def wilson_interval(n_successes: int, n_trials: int) -> tuple[float, float]:
    """Return the `CONFIDENCE` interval of Wilson (1927) for a probability; within 0 and 1, and right for few trials."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    rate = n_successes / n_trials
    centre = rate + z**2 / (2 * n_trials)
    half_width = z * math.sqrt(rate * (1 - rate) / n_trials + (z / (2 * n_trials)) ** 2)
    scale = 1 + z**2 / n_trials
    # Rounding leaves the ends a little beside 0 and 1.
    low = 0.0 if n_successes == 0 else (centre - half_width) / scale
    return low, 1.0 if n_successes == n_trials else (centre + half_width) / scale
