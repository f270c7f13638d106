r"""Surprisal of words: how unexpected each was in its context, and how uncertain the model had been before it.

A word may be several tokens. Its probability is theirs, corrected where white space is a token too and the space before
a word belongs to it (the leading space of Pimentel & Meister 2024, "How to compute the probability of a word", and Oh &
Schuler 2024, "Leading whitespaces of language models' subword vocabulary pose a confound"):

.. math::

    p(w \mid c) = p(t_1 \dots t_n \mid c) \, \frac{p(B \mid c \, t_1 \dots t_n)}{p(B \mid c)}

with the tokens t of the word, its context c, and B the delimiters, any of which says that the word before it is
complete. So the end of a word is part of its own surprisal, not of the next one's. Before the first word of a line the
delimiter has been read already, and there is no p(B | c). What one row gives away the next to it receives, so that the
rows of a text, `<eos>` among them, sum to the nats of its text. Where every token is a word, nothing is corrected.

White space belongs to the word after it, and at the end of a line to its end, as a text has it; between words that are
given by themselves is what joins them. Lines end as `data.eos` of the model's corpus says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from lstmlm.corpus.reading.white_space import cut_before_spaces, is_white, words_of
from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.evaluation.proof.checks import Reader, unproven
from lstmlm.evaluation.proof.scorer import (
    Positions,
    Scored,
    Tokens,
    distributions,
    with_features,
    without_positions,
)
from lstmlm.evaluation.reading import AS_LINES, Reading
from lstmlm.evaluation.surprisal.stimuli import Sentence
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import of_distributions, score_each

WORDS = "words"
"""What a proof calls the scores."""

N_MEASURES = 5
NATS, ENTROPY, DELIMITER, RANK, RANK_OF_DELIMITER = range(N_MEASURES)
"""What is measured of each token: its surprisal, the entropy of its distribution, the surprisal of any delimiter in
its place (nats), and its rank among all tokens and among the delimiters."""

WordContext = Literal["document", "sentence"] | int
"""What a word is given: all of its item before it, all of its sentence before it, or so many tokens before it."""

FirstWord = Literal["after-eos", "zero-state", "skip"]
"""How the first word of a context is predicted: after `<eos>` (a newline for characters and bytes), read in the zero
state, like the first word of every text that lstmlm scores; from the zero state itself, before anything is read; or
after `<eos>` and without being reported."""


@dataclass(frozen=True)
class Figures:
    """What the model says of a word in its context."""

    nats: float
    """Surprisal of the word."""
    token_nats: Sequence[float]
    """Surprisal of each of its tokens, uncorrected."""
    entropy_nats: float
    """Entropy of the distribution that its first token comes from, leaving out the space before it. The entropy of all
    that the word could have been is no smaller, because a word decides its first token; it has no closed form."""
    entropy_reduction_nats: float | None
    """By how much this entropy is smaller than that of the row before, or 0; None at the first row of a context."""
    rank: int
    """Rank of that first token among all tokens, from 1; that of an end after a word among the delimiters."""
    is_likeliest: bool
    """Whether that token and all after it have rank 1, so that the word is what the model would have written."""


@dataclass(frozen=True)
class MeasuredWord:
    """A word of a sentence, or the end of the sentence."""

    sentence: Sentence
    index: int
    """In the sentence, from 0; that of the end is the number of words."""
    tokens: Sequence[str]
    is_unknown: bool
    """Whether it is `<unk>`, or has an unknown character in it: then the figures are not its own."""
    figures: Figures | None
    """None where the first word of a context is skipped, or nothing is left of the word in the model's spelling."""

    @property
    def is_end(self) -> bool:
        """Whether this is the end of the sentence."""
        return self.index == len(self.sentence.words)

    @property
    def others(self) -> Mapping[str, Any]:
        """What else the file says of it, by the names of columns."""
        return self.sentence.others[self.index]

    @property
    def text(self) -> str:
        """The word, or `<eos>`."""
        return EOS if self.is_end else self.sentence.words[self.index]


def measure_words(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sentences: Sequence[Sentence],
    *,
    context: WordContext = "document",
    first_word: FirstWord = "after-eos",
    reading: Reading = AS_LINES,
    read: Reader = unproven,
) -> Iterator[MeasuredWord]:
    """Measure every word of `sentences`, and the end of each, in its context.

    Those of an item follow each other; items, each a document, know nothing of each other. `reading` is how words that
    are given by themselves make a line, and where `<eos>` is among lines; `read` may be a `Prover`.
    """
    if context == "sentence":
        contexts = [[sentence] for sentence in sentences]
        reading = reading if reading.eos == "never" else reading._replace(eos="line")
    else:
        contexts = [list(of_item) for _, of_item in groupby(sentences, key=lambda sentence: sentence.document)]
    rows = [_rows(tokenizer, parts, reading) for parts in contexts]
    ends = np.cumsum([sum(len(row.ids) for row in of_context) for of_context in rows])
    readings: list[Float64[np.ndarray, "tokens all"]] = []

    def scored(tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        delimiter_ids = torch.tensor(tokenizer.delimiter_ids, dtype=torch.int64)
        measure = of_distributions(partial(_measure_rows, delimiter_ids))
        found = score_each(
            model,
            [text.tolist() for text in np.split(tokens, ends[ends < len(tokens)])],
            start_id=None if first_word == "zero-state" else tokenizer.start_id,
            measure=with_features(measure) if len(positions) else measure,
            n_context_tokens=context if isinstance(context, int) else None,
        )
        readings.append(np.concatenate(found))
        features = readings[-1][list(positions), N_MEASURES:]
        at_positions = distributions(model.output_layer, features) if len(positions) else without_positions()
        return {WORDS: Scored(readings[-1][:, NATS], at_positions)}

    read(scored, np.array([token for of_context in rows for row in of_context for token in row.ids], dtype=np.int64))
    measured = np.split(readings[0][:, :N_MEASURES], ends[:-1])
    for of_context in zip(rows, measured, strict=True):
        yield from _measured_words(tokenizer, *of_context, reading, skip_first=first_word == "skip")


@dataclass(frozen=True)
class _Row:
    """The tokens of a word with the white space before it, or of the end of a sentence."""

    sentence: Sentence
    index: int
    ids: Sequence[int]


def _rows(tokenizer: Tokenizer, sentences: Sequence[Sentence], reading: Reading) -> list[_Row]:
    """Return the rows of a document; an end that has no token of its own is none."""
    pieces = [_pieces(sentence, reading) for sentence in sentences]
    eos, owed = reading.eos, ""
    for of_sentence in pieces:
        of_sentence[0] = owed + of_sentence[0]
        is_last, owed = of_sentence is pieces[-1], ""
        if eos == "never" or (eos == "document" and not is_last):
            of_sentence[-1] = of_sentence[-1].replace("\n", " ")
        elif is_last and eos != "line":
            end = "\n\n" if eos == "line_and_document" else "\n"
            of_sentence[-1] = of_sentence[-1].removesuffix("\n") + end
        if not is_last and not of_sentence[-1].endswith("\n"):
            owed, of_sentence[-1] = of_sentence[-1], ""
    ids = tokenizer.encode_pieces([piece for of_sentence in pieces for piece in of_sentence])
    if tokenizer.ends_open_lines and not pieces[-1][-1].endswith("\n"):
        ids[-1] = [*ids[-1], tokenizer.start_id]
    places = ((sentence, index) for sentence in sentences for index in range(len(sentence.words) + 1))
    rows = [_Row(*place, of_row) for place, of_row in zip(places, ids, strict=True)]
    return [row for row in rows if row.ids or row.index < len(row.sentence.words)]


def _pieces(sentence: Sentence, reading: Reading) -> list[str]:
    """Return the words of a sentence, each with the white space before it, and its end."""
    if sentence.text is not None and reading.spell is str:
        return cut_before_spaces(sentence.text)
    words, is_first = [""] * len(sentence.words), True
    for index, word in enumerate(sentence.words):
        if text := " ".join(words_of(reading.spell(word))):
            words[index], is_first = text if is_first else reading.join + text, False
    return [*words, "\n"]


def _measured_words(
    tokenizer: Tokenizer,
    rows: Sequence[_Row],
    measured: Float64[np.ndarray, "tokens measures"],
    reading: Reading,
    *,
    skip_first: bool,
) -> Iterator[MeasuredWord]:
    """Put together what was measured of the tokens of a context."""
    delimiter_ids, end, entropy_before = set(tokenizer.delimiter_ids), 0, None
    is_after_complete, given_away = False, 0.0
    with_tokens = [row for row in rows if row.ids]
    followers = dict(zip(map(id, with_tokens), with_tokens[1:], strict=False))
    for row in rows:
        sentence, index, ids = row.sentence, row.index, row.ids
        if not ids:
            yield MeasuredWord(sentence, index, tokens=[], is_unknown=False, figures=None)
            continue
        following = followers.get(id(row))
        start, end = end, end + len(ids)
        token_nats = measured[start:end, NATS]
        ends_line = ids[-1:] == [tokenizer.start_id]
        follows = following is not None and not ends_line and not delimiter_ids.isdisjoint(following.ids[:1])
        received = float(measured[end, DELIMITER]) if follows else 0.0
        first = start
        while first < end - 1 and is_white(tokenizer.decode([ids[first - start]])):
            first += 1
        # The end is certain where no other delimiter may follow the word, however likely the word is to go on.
        rank = RANK_OF_DELIMITER if is_after_complete and index == len(sentence.words) else RANK
        entropy = float(measured[first, ENTROPY])
        figures = Figures(
            nats=float(token_nats.sum() - given_away + received),
            token_nats=token_nats.tolist(),
            entropy_nats=entropy,
            entropy_reduction_nats=None if entropy_before is None else max(0.0, entropy_before - entropy),
            rank=int(measured[first, rank]),
            is_likeliest=bool((measured[first:end, RANK] == 1).all()),
        )
        is_skipped = skip_first and start == 0
        read = map(reading.spell, sentence.words[index : index + 1])
        yield MeasuredWord(
            sentence,
            index,
            tokens=[EOS if i == tokenizer.start_id else tokenizer.token(i).replace(" ", "␣") for i in ids],
            is_unknown=tokenizer.unk_id in ids or any(map(tokenizer.dropped, read)),
            figures=None if is_skipped else figures,
        )
        is_after_complete, given_away, entropy_before = follows, received, None if is_skipped else entropy


def last_words(words: Iterable[MeasuredWord], context: WordContext) -> list[MeasuredWord]:
    """Return the last word of each item, or where the context is the sentence, of each sentence."""
    last = {
        (id(word.sentence) if context == "sentence" else word.sentence.document): word
        for word in words
        if not word.is_end
    }
    return list(last.values())


def _measure_rows(
    delimiter_ids: Int[Tensor, " ids"], log_probabilities: Float[Tensor, "rows vocab"], targets: Int[Tensor, " rows"]
) -> Float64[Tensor, "rows measures"]:
    of_targets = log_probabilities.gather(1, targets[:, None])
    entropy = torch.special.entr(log_probabilities.exp()).sum(1, dtype=torch.float64)
    is_likelier = log_probabilities > of_targets
    ranks = [1.0 + likelier.sum(1, dtype=torch.float64) for likelier in (is_likelier, is_likelier[:, delimiter_ids])]
    delimiter = -log_probabilities[:, delimiter_ids].double().logsumexp(1)
    return torch.stack([-of_targets[:, 0].double(), entropy, delimiter, *ranks], dim=1)
