"""Two models on one text: which one predicts it better, and whether other sentences might have said otherwise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped

from lstmlm.config.data import EosPlace
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DataError
from lstmlm.evaluation.bootstrap import N_RESAMPLES, joint_confidence, ratio_interval, what_is_resampled
from lstmlm.evaluation.fingerprint import fingerprint
from lstmlm.evaluation.report import Report, Row
from lstmlm.metrics import bits_per, perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import score


@dataclass(frozen=True)
class Contestant:
    """A model and the text as its tokenizer cuts it, with ends by `eos`; `run` is what reports call the model."""

    run: str
    model: LanguageModel
    tokenizer: Tokenizer
    text: EncodedText
    eos: EosPlace = "line"

    @property
    def fingerprint(self) -> str:
        """What the perplexity of the text depends on besides the model."""
        return fingerprint(self.text, self.tokenizer, "document")["fingerprint"]

    def split_lines(self, of_tokens: Shaped[np.ndarray, " tokens"]) -> list[Shaped[np.ndarray, " tokens_of_line"]]:
        """Cut what there is of each token into lines as this tokenizer ends them."""
        return self.text.split_lines(of_tokens, self.tokenizer.start_id)


class _Figure(NamedTuple):
    name: str
    of_nats: Callable[[float, int], float]
    """The figure that so many nats over so many units are."""
    change: str
    """What `of_nats` of a difference in nats is: the "ratio" or "difference" of the figures."""
    line_units: Integer[np.ndarray, " lines"]


def compare_models(a: Contestant, b: Contestant, *, n_pairs: int = 1) -> Report:
    """Compare perplexities where both cut the text into the same tokens, else bits per character and byte.

    The report has a row for each figure: that of both, the ratio or difference of b to a, and the limits of that by a
    paired bootstrap over lines, or where only these have an end, documents; `n_pairs` comparisons have limits that hold
    together. `better` is "a" or "b", or None where the limits disagree, or a single line leaves nothing to resample.

    Raises:
        DataError: the texts differ; or the tokens do, and those of one leave out what the text says.
    """
    _require_same_text(a, b)
    if a.fingerprint == b.fingerprint:
        line_tokens = np.array([len(line) for line in a.split_lines(a.text.tokens)])
        figures = [_Figure("perplexity", perplexity, "ratio", line_tokens)]
    else:
        _require_tokens_that_say_all(a, b)
        figures = [
            _Figure("bits_per_char", bits_per, "difference", a.text.line_chars),
            _Figure("bits_per_byte", bits_per, "difference", a.text.line_bytes),
        ]
    nats_a, nats_b, confidence = _nats_of_lines(a), _nats_of_lines(b), joint_confidence(n_pairs)
    intervals = [ratio_interval(nats_b - nats_a, figure.line_units, confidence) for figure in figures]
    # The unit does not change a sign.
    low, high = intervals[0]
    return Report(
        {
            "run_a": a.run,
            "run_b": b.run,
            "text": a.text.name,
            "split": a.text.split,
            "n_lines": a.text.n_lines,
            "resampled": what_is_resampled(a.eos),
            "better": "a" if low > 0 else "b" if high < 0 else None,
            "confidence": confidence,
            "n_resamples": N_RESAMPLES if len(nats_a) > 1 else 0,
            "text_sha256": a.text.sha256,
            "fingerprint_a": a.fingerprint,
            "fingerprint_b": b.fingerprint,
        },
        rows=[
            _row(figure, float(nats_a.sum()), float(nats_b.sum()), interval)
            for figure, interval in zip(figures, intervals, strict=True)
        ],
    )


def _row(figure: _Figure, nats_a: float, nats_b: float, interval: tuple[float, float]) -> Row:
    n_units = int(figure.line_units.sum())
    low, high = interval
    return {
        "figure": figure.name,
        "a": figure.of_nats(nats_a, n_units),
        "b": figure.of_nats(nats_b, n_units),
        figure.change: figure.of_nats(nats_b - nats_a, n_units),
        "low": figure.of_nats(low, 1),
        "high": figure.of_nats(high, 1),
    }


def _nats_of_lines(contestant: Contestant) -> Float[np.ndarray, " lines"]:
    nats = score(contestant.model, contestant.text.tokens, contestant.tokenizer.start_id)
    return np.array([line.sum() for line in contestant.split_lines(nats)])


def _require_same_text(a: Contestant, b: Contestant) -> None:
    if a.text.sha256 != b.text.sha256 and a.text.name == b.text.name:
        raise DataError(
            f"{a.text.name}: is read in two ways by {a.run} (SHA-256 {a.text.sha256[:12]}) and {b.run} "
            f"({b.text.sha256[:12]}), as their data.eos or data.field differ. Compare runs that agree in these."
        )
    if a.text.sha256 != b.text.sha256:
        raise DataError(
            f"{a.run} and {b.run}: cannot be compared on different texts, {a.text.name} (SHA-256 "
            f"{a.text.sha256[:12]}) and {b.text.name} ({b.text.sha256[:12]}). Give both the same one: --text FILE"
        )


def _require_tokens_that_say_all(a: Contestant, b: Contestant) -> None:
    """Refuse bits per byte where tokens stand for less than all bytes, and lines that do not match."""
    for one in (a, b):
        n_lines = len(one.split_lines(one.text.tokens))
        if n_lines != one.text.n_lines:
            raise DataError(
                f"{one.text.name}: has {one.text.n_lines:,} {what_is_resampled(one.eos)}, but {one.run} reads "
                f"{n_lines:,}, because the word {one.tokenizer.token(one.tokenizer.start_id)} ends one. "
                "Remove that word from the text."
            )
    if unsaid := [f"of {one.run}, {one.text.unsaid}" for one in (a, b) if one.text.unsaid]:
        raise DataError(
            f"{a.text.name}: {a.run} and {b.run} cut it into different tokens, and bits per byte flatter a model whose "
            f"tokens leave out what the text says: {'; '.join(unsaid)}. "
            "Compare runs that share a tokenizer, or on a text that both give back."
        )
