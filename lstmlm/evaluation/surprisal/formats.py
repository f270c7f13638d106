"""How a table of measured words is written: our own TSV and JSONL, and the formats of two other programs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import exp
from pathlib import Path
from typing import Any

from lstmlm.corpus.tokenizers import EOS
from lstmlm.errors import DataError
from lstmlm.evaluation.report import Row, to_tsv
from lstmlm.evaluation.surprisal.surprisal import MeasuredWord
from lstmlm.metrics import bits_per, finite

COLUMNS = (
    "item sentence word_index word tokens surprisal_bits entropy_bits entropy_reduction_bits rank probability oov"
).split()

MISSING = "NA"
"""What R and pandas read as no value, also where cells are separated by blanks."""


def tsv(words: Iterable[MeasuredWord], other_columns: Sequence[str]) -> Iterator[str]:
    """Yield a header and a row a word, with the file's other columns after ours."""
    columns = [*COLUMNS, *other_columns]
    rows = (
        {**dict.fromkeys(columns), **_row(word), **_as_text({"item": word.sentence.item, **word.others})}
        for word in words
    )
    return to_tsv(rows, columns)


def jsonl(words: Iterable[MeasuredWord], _: Sequence[str]) -> Iterator[str]:
    """Yield an object a word, with the file's other values after ours."""
    return (json.dumps(record, ensure_ascii=False) for record in records(words))


def records(words: Iterable[MeasuredWord]) -> Iterator[dict[str, Any]]:
    """Yield the values of `COLUMNS` for each word, then the file's other values."""
    return (finite({**_row(word), **word.others}) for word in words)


def neural_complexity(words: Iterable[MeasuredWord], _: Sequence[str]) -> Iterator[str]:
    """Yield what neural-complexity prints with `--test --words`: bits, positions from 0, no row for `<eos>`.

    A word that is one token is that token, so `<unk>` where it is unknown. As there, the first word of a sentence
    reduces no entropy.
    """
    yield "word sentid sentpos wlen surp entropy entred"
    for number, sentence in _sentences(word for word in words if not word.is_end):
        for word in sentence:
            text = word.tokens[0] if len(word.tokens) == 1 else "_".join(word.text.split())
            figures = [MISSING] * 3
            if word.figures is not None:
                reduction = 0.0 if word.index == 0 else word.figures.entropy_reduction_nats or 0.0
                nats = (word.figures.nats, word.figures.entropy_nats, reduction)
                figures = [str(bits_per(value, 1)) for value in nats]
            yield " ".join([text, str(number), str(word.index), str(len(text)), *figures])


def lm_zoo(words: Iterable[MeasuredWord], _: Sequence[str]) -> Iterator[str]:
    """Yield what `lm-zoo get-surprisals` prints: bits, a row a token, numbers from 1, `</s>` for `<eos>`."""
    return to_tsv(_lm_zoo_rows(words), ["sentence_id", "token_id", "token", "surprisal"])


def _lm_zoo_rows(words: Iterable[MeasuredWord]) -> Iterator[Row]:
    for number, sentence in _sentences(words):
        token_id = 0
        for word in sentence:
            tokens = ["</s>" if word.is_end and token == EOS else token for token in word.tokens]
            nats = word.figures.token_nats if word.figures else [None] * len(tokens)
            for token, token_nats in zip(tokens, nats, strict=True):
                token_id += 1
                surprisal = None if token_nats is None else bits_per(token_nats, 1)
                yield {"sentence_id": number + 1, "token_id": token_id, "token": token, "surprisal": surprisal}


def refuse_own_columns(file: Path, other_columns: Sequence[str]) -> None:
    """Refuse a file with columns of its own that are called like `COLUMNS`. Raises DataError."""
    for name in other_columns:
        if name in COLUMNS:
            raise DataError(f"{file}: the column {name!r} is called like one of the result. Rename or remove it.")


Format = Callable[[Iterable[MeasuredWord], Sequence[str]], Iterator[str]]
"""From words, and the names of the file's other columns, to lines."""

FORMATS: Mapping[str, Format] = {
    "tsv": tsv,
    "jsonl": jsonl,
    "neural-complexity": neural_complexity,
    "lm-zoo": lm_zoo,
}


def _row(word: MeasuredWord) -> dict[str, Any]:
    """Return the values of `COLUMNS`."""
    figures = word.figures
    named = [word.sentence.item, word.sentence.number, word.index + 1, word.text, " ".join(word.tokens)]
    if figures is None:
        measured: list[float | None] = [None] * 5
    else:
        nats = (figures.nats, figures.entropy_nats, figures.entropy_reduction_nats)
        bits = [None if value is None else bits_per(value, 1) for value in nats]
        measured = [*bits, figures.rank, exp(-figures.nats)]
    return dict(zip(COLUMNS, [*named, *measured, int(word.is_unknown)], strict=True))


def _as_text(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return text as it is, what is missing as None, and other values as JSON has them."""
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in finite(values).items()
    }


def _sentences(words: Iterable[MeasuredWord]) -> Iterator[tuple[int, Iterator[MeasuredWord]]]:
    """Number the sentences that have words here, from 0."""
    return enumerate(of_sentence for _, of_sentence in groupby(words, key=lambda word: id(word.sentence)))
