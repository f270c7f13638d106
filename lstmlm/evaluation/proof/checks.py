"""The proof of a figure: what must hold of whatever scores a text, whoever made it and however it works.

1. **distribution**: the probabilities of the whole vocabulary sum to one, and that of the token which came is what was
   scored.
2. **prefix**: with other tokens from a position on, nothing before it changes, nor the distribution there, by one bit:
   nobody looks ahead.
3. **answer**: what comes there instead is scored by that same distribution. So a score is made of a distribution which
   was fixed before, and of the token alone, by whatever permutation of the vocabulary one answers.
4. **count**: every token is scored once, in order, and the figure is the sum of these scores.
5. **cut**: a text that ends earlier gets the same scores up to there.

These are the four conditions of fair compression by a language model (a distribution that is normalised, depends on the
prefix alone, and is scored before anything is learnt from the token; one pass), asked of a `Scorer` from outside.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.encoded_text import EncodedText, TextCounter
from lstmlm.evaluation.proof.scorer import Positions, Scored, Scorer, Tokens
from lstmlm.evaluation.report import Report

N_POSITIONS = 8
"""At which distributions are summed, drawn from the whole text."""

SUM_TOLERANCE = 1e-6
NATS_TOLERANCE = 1e-5
"""Two ways to compute a surprisal, or batches of other shapes, agree to this, relative to the larger of 1 and it."""

SUM_OF_SCORES_TOLERANCE = 1e-9
"""Of a figure, which is a sum of the very scores: the order of adding, and far less than one token of any text."""

SHORT_TOKENS = 500
"""A text up to this length is read again as a whole; of a longer one no more than an eighth: so that all readings of a
proof take no longer than the first."""


class Check(NamedTuple):
    """One of the five, and what came of it."""

    name: str
    finding: str
    """What was seen, or where it failed."""
    passed: bool

    def __str__(self) -> str:
        return f"{'✔' if self.passed else '✘'} {self.name}: {self.finding}"


Reader = Callable[[Scorer, Tokens], Mapping[str, Scored]]
"""How an evaluation has a text read by whoever scores it: `unproven`, or a `Prover`."""


class ScoredText(NamedTuple):
    """What a scorer has found in a text."""

    tokens: Tokens
    positions: Positions
    found: Mapping[str, Scored]

    def rows(self) -> Iterator[tuple[str, int, Float[np.ndarray, " vocab"], float]]:
        """Yield for each figure and position the distribution there, and what was scored."""
        for name, scored in self.found.items():
            for position, row in zip(self.positions, scored.log_probabilities, strict=True):
                yield name, position, row, _at(scored.nats, position)


@dataclass
class Prover:
    """Reads a text for an evaluation, and puts under proof whoever scored it."""

    vocab_size: int
    kept_id: int | None = None
    """The token that ends lines: it stays where it is, so that texts keep the shape in which they are computed."""
    seed: int = 1
    """Draws positions, tokens and where the text is cut."""
    n_positions: int = N_POSITIONS
    whole: ScoredText = field(init=False)
    """What the figure is made of."""
    checks: list[Check] = field(default_factory=list)

    def __call__(self, scorer: Scorer, tokens: Tokens) -> Mapping[str, Scored]:
        """Read a text as the evaluation would, then parts of it and variants of them, and check what has come out."""
        draw = np.random.default_rng(self.seed)
        n_positions = min(self.n_positions, len(tokens))
        positions = sorted(draw.choice(len(tokens), n_positions, replace=False).tolist())
        self.whole = ScoredText(tokens, positions, scorer(tokens, positions))
        longest = max(1, min(len(tokens) - 1, SHORT_TOKENS), len(tokens) // 8)
        cut = tokens[: int(draw.integers(longest // 2, longest)) + 1]
        starts = sorted({self._answerable(cut, place) for place in (int(draw.integers(len(cut))), len(cut) - 1)})
        at = sorted({*starts, *draw.choice(len(cut), min(self.n_positions // 2, len(cut)), replace=False).tolist()})
        short = ScoredText(cut, at, scorer(cut, at))
        others = [
            ScoredText(text, at, scorer(text, at)) for text in (self._replaced(short, start, draw) for start in starts)
        ]
        self.checks = [
            distribution(self.whole),
            prefix(short, others, starts),
            answer(short, others, starts),
            count([self.whole, short, *others]),
            is_same_when_cut(self.whole, short),
        ]
        return self.whole.found

    def _answerable(self, tokens: Tokens, place: int) -> int:
        """The last position up to `place` that ends no line, where another token can come."""
        others = np.flatnonzero(tokens[: place + 1] != self.kept_id)
        return int(others[-1]) if len(others) else place

    def _replaced(self, reading: ScoredText, start: int, draw: np.random.Generator) -> Tokens:
        """Answer in a permuted vocabulary from `start` on; there by the token whose probability differs most.

        A token that is to change always becomes another. Whoever has looked at the one that came shows it at the first.
        """
        changing = np.setdiff1d(np.arange(self.vocab_size), [] if self.kept_id is None else [self.kept_id])
        order, permutation = draw.permutation(changing), np.arange(self.vocab_size)
        permutation[order] = np.roll(order, 1)
        replaced = permutation[reading.tokens[start:]]
        *_, last = reading.found.values()
        row = last.log_probabilities[list(reading.positions).index(start)]
        difference = np.abs(np.exp(row) - np.exp(row[reading.tokens[start]]))[changing]
        if difference.max() > 0:
            replaced[0] = changing[difference.argmax()]
        return np.concatenate([reading.tokens[:start], replaced.astype(reading.tokens.dtype)])

    def proven(self, report: Report, text: EncodedText | None = None, source: TextCounter | None = None) -> Report:
        """Hold a report against the scores that it is made of, and its text against itself; add the proof's values.

        `source` is the text counted once more, without a tokenizer.
        """
        figures = {str(next(iter(row.values()))): float(row["nats"] or 0) for row in report.rows if "nats" in row}
        if "nats" in report.values:
            figures = {str(report.values["run"]): float(report.values["nats"] or 0)}
        counts: dict[str, tuple[int | str, int | str]] = {}
        if text is not None and source is not None:
            counts = {
                "words": (text.n_words, source.n_words),
                "characters": (text.n_chars, source.n_chars),
                "bytes": (text.n_bytes, source.n_bytes),
                "as its SHA-256": (text.sha256, source.sha256),
            }
        self.require(figures, counts)
        return replace(report, values={**report.values, **self.values()})

    def require(self, figures: Mapping[str, float], counts: Mapping[str, tuple[int | str, int | str]]) -> None:
        """Let the count be that of a report: its `figures` (nats), and what it says beside what was counted anew."""
        index = next(index for index, check in enumerate(self.checks) if check.name == "count")
        if self.checks[index].passed:
            self.checks[index] = reported(self.whole, figures, counts)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(check.passed for check in self.checks)

    def values(self) -> dict[str, str | int]:
        """What goes into a report; the digest covers every check, score and distribution of the whole text."""
        digest = hashlib.sha256(json.dumps([self.seed, self.vocab_size, self.checks]).encode())
        for name, scored in self.whole.found.items():
            digest.update(name.encode() + scored.nats.tobytes() + scored.log_probabilities.tobytes())
        failed = " ".join(check.name for check in self.checks if not check.passed)
        return {"proof_failed": failed, "proof_seed": self.seed, "proof_sha256": digest.hexdigest()}


def unproven(scorer: Scorer, tokens: Tokens) -> Mapping[str, Scored]:
    """Read a text in place of a `Prover`, without any proof."""
    return scorer(tokens, ())


def distribution(reading: ScoredText) -> Check:
    """Check that probabilities sum to one, and that the one of the token that came is what was scored."""
    worst_sum = worst_nats = 0.0
    for name, position, row, nats in reading.rows():
        total, own = float(np.exp(row).sum()), float(-row[reading.tokens[position]])
        error = total - 1 if reading.found[name].is_complete else max(0.0, total - 1)
        if not abs(error) <= SUM_TOLERANCE:
            return _failed("distribution", name, position, f"the probabilities of all tokens sum to {total:.7g}")
        if not _agree(nats, own):
            return _failed("distribution", name, position, f"scored as {nats:.7g} nats, predicted with {own:.7g}")
        worst_sum, worst_nats = max(worst_sum, abs(error)), max(worst_nats, abs(nats - own))
    n_tokens = next(iter(reading.found.values())).log_probabilities.shape[1]
    where = f"at {len(reading.positions)} positions of {len(reading.tokens):,}"
    summed = f"the probabilities of all {n_tokens:,} tokens sum to one within {worst_sum:.0e}"
    return Check("distribution", f"{where} {summed}, the one that came is as scored within {worst_nats:.0e} nats", True)


def prefix(reading: ScoredText, others: Sequence[ScoredText], starts: Sequence[int]) -> Check:
    """Check that with other tokens from each of `starts` on, everything before and the distribution there are equal.

    Distributions are equal to the bit. Scores may differ by rounding, where what is computed for one depends on how
    many others are: rows of one cluster of an adaptive softmax are multiplied together.
    """
    n_same = n_scores = 0
    for other, start in zip(others, starts, strict=True):
        for name, scored in reading.found.items():
            nats = other.found[name].nats
            differing = np.flatnonzero(~(relative_difference(nats[:start], scored.nats[:start]) <= NATS_TOLERANCE))
            if len(differing):
                place = int(differing[0])
                change = f"{_at(scored.nats, place):.9g} nats become {_at(nats, place):.9g}"
                return _failed("prefix", name, place, f"{change} when what comes from position {start} on is replaced")
            n_scores += start
            n_same += int((_bits(scored.nats[:start]) == _bits(nats[:start])).sum())
        for (name, position, row, _), (_, _, row_of_other, _) in zip(reading.rows(), other.rows(), strict=True):
            if position <= start and not np.array_equal(row, row_of_other):
                change = f"by up to {np.abs(row - row_of_other).max():.1g} nats"
                return _failed(
                    "prefix", name, position, f"its distribution changes {change} with what comes from {start} on"
                )
    places = " and ".join(f"{start:,}" for start in starts)
    stays = "all before stays the same to the bit"
    if n_same < n_scores:
        stays = f"the distributions stay the same to the bit, and so do {n_same / n_scores:.2%} of the scores before"
    return Check("prefix", f"with other tokens from position {places} on, {stays}", True)


def answer(reading: ScoredText, others: Sequence[ScoredText], starts: Sequence[int]) -> Check:
    """Check that another token at each of `starts` is scored by the distribution that was there."""
    worst = 0.0
    for other, start in zip(others, starts, strict=True):
        for name, position, row, _ in reading.rows():
            if position == start:
                nats, own = _at(other.found[name].nats, start), float(-row[other.tokens[start]])
                if not _agree(nats, own):
                    what = f"another token there is scored as {nats:.7g} nats, was predicted with {own:.7g}"
                    return _failed("answer", name, position, what)
                worst = max(worst, abs(nats - own))
    what = "what comes there instead in a permuted vocabulary is scored by the same distributions"
    return Check("answer", f"{what} within {worst:.0e} nats", True)


def count(readings: Iterable[ScoredText]) -> Check:
    """Check that each reading has a score for every token."""
    for tokens, _, found in readings:
        for name, scored in found.items():
            if len(scored.nats) != len(tokens):
                return _failed(
                    "count", name, len(scored.nats), f"{len(scored.nats):,} scores of {len(tokens):,} tokens"
                )
            if not (bad := np.isfinite(scored.nats)).all():
                return _failed("count", name, int(bad.argmin()), "is given no probability")
    return Check("count", "every token scored once", True)


def reported(
    reading: ScoredText, figures: Mapping[str, float], counts: Mapping[str, tuple[int | str, int | str]]
) -> Check:
    """Check that figures (nats) are the sums of the scores, and counts those of the text."""
    n_tokens = len(reading.tokens)
    for name, nats in figures.items():
        total = float(reading.found[name].nats.sum())
        if not math.isclose(nats, total, rel_tol=SUM_OF_SCORES_TOLERANCE):
            return _failed("count", name, n_tokens, f"the scores sum to {total:.12g}, not {nats:.12g}")
    for name, (said, there) in counts.items():
        if said != there:
            return Check("count", f"the text has {there} {name}, and {said} were counted", False)
    others = "".join(f", {said:,} {name}" for name, (said, _) in counts.items() if isinstance(said, int))
    others += "" if counts else " (the text was not read again)"
    return Check("count", f"{n_tokens:,} tokens{others}; every token scored once, and the figure is their sum", True)


def is_same_when_cut(whole: ScoredText, short: ScoredText) -> Check:
    """Check that a text which ends earlier has the same scores."""
    n_tokens, worst = len(short.tokens), 0.0
    for name, scored in whole.found.items():
        there, here = scored.nats[:n_tokens], short.found[name].nats[:n_tokens]
        if len(there) != len(here):
            return _failed("cut", name, min(len(there), len(here)), f"{len(here):,} scores where {len(there):,} were")
        difference = relative_difference(here, there)
        if not (difference <= NATS_TOLERANCE).all():
            place = int(np.argmax(~(difference <= NATS_TOLERANCE)))
            what = f"{there[place]:.7g} nats become {here[place]:.7g} when the text ends at position {n_tokens}"
            return _failed("cut", name, place, what)
        worst = max(worst, float(difference.max()))
    return Check("cut", f"the first {n_tokens:,} tokens alone are scored the same within {worst:.0e}", True)


def relative_difference(
    nats: Float[np.ndarray, " tokens"], other: Float[np.ndarray, " tokens"]
) -> Float[np.ndarray, " tokens"]:
    """Return by how much scores differ, relative to the larger of 1 and the other; not a number where one is none."""
    n_both = min(len(nats), len(other))
    difference: np.ndarray = np.abs(nats[:n_both] - other[:n_both]) / np.maximum(1, np.abs(other[:n_both]))
    return difference


def _failed(check: str, name: str, position: int, what: str) -> Check:
    return Check(check, f"{name}, position {position}: {what}", False)


def _agree(nats: float, other: float) -> bool:
    return abs(nats - other) <= NATS_TOLERANCE * max(1.0, abs(other))


def _at(nats: Float[np.ndarray, " tokens"], position: int) -> float:
    """The score at a position; not a number where there is none."""
    return float(nats[position]) if position < len(nats) else np.nan


def _bits(nats: Float[np.ndarray, " tokens"]) -> np.ndarray:
    return np.ascontiguousarray(nats).view(np.int64)
