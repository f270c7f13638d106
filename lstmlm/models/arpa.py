"""ARPA, the text file of n-gram models that SRILM, KenLM and Kaldi use: p(w | h) and b(h) as logarithms to base 10."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from lstmlm.errors import DataError, shown
from lstmlm.models.ngram import NgramModel, NgramTable

NGRAMS_PER_BLOCK = 65536

ZERO = -99
"""Stands for the logarithm of 0, as in SRILM."""

_BETWEEN_FIELDS = " \t\0\r"
_TITLE = re.compile(r"\\(\d+)-grams:")
_SIZE = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


def arpa_blocks(model: NgramModel, names: Sequence[str], unk_id: int | None) -> Iterator[str]:
    """Yield the file in blocks of whole lines.

    Names of tokens are written as `_words_of` has them. Where there is no unknown token, `<unk>` has no probability.
    """
    begin_id = len(names)
    words = np.array([*_words_of(names, model.start_id, unk_id), BEGIN], dtype=object)
    without_probability = [] if unk_id is not None else [f"{ZERO}\t{UNKNOWN}\t0\n"]

    sizes = [len(table.keys) for table in model.tables]
    sizes[0] += 1 + len(without_probability)  # `<s>`
    yield "\\data\\\n" + "".join(f"ngram {length}={size}\n" for length, size in enumerate(sizes, start=1))
    for length, table in enumerate(model.tables, start=1):
        yield f"\n\\{length}-grams:\n"
        probability, backoff = np.log10(table.probability), np.log10(table.backoff)
        if length == 1:
            yield f"{ZERO}\t{BEGIN}\t{backoff[model.start_id]:.7g}\n"  # nothing predicts the beginning of a line
            yield from without_probability
            backoff[model.start_id] = 0
        for first in range(0, len(table.keys), NGRAMS_PER_BLOCK):
            rows = np.arange(len(table.keys))[first : first + NGRAMS_PER_BLOCK]
            ngrams = model.ngrams(length, rows)
            contexts = ngrams[:, :-1]
            contexts[contexts == model.start_id] = begin_id
            columns = [probability[rows].tolist(), words[ngrams], backoff[rows].tolist()]
            line = "{0:.7g}\t{1}\n" if length == model.order else "{0:.7g}\t{1}\t{2:.7g}\n"
            yield "".join(line.format(p, " ".join(ngram), b) for p, ngram, b in zip(*columns, strict=True))
    yield "\n\\end\\\n"


def _words_of(names: Sequence[str], start_id: int, unk_id: int | None) -> list[str]:
    """Return what tokens are called: `</s>` what ends lines, `<unk>` the unknown one, whatever their names.

    Others have `<U+0020>` for white space and NUL, which would end the word, and for the `<` of names that mean
    something else: `<s>`, `</s>`, `<unk>`, and `<U+` itself.
    """
    special = {start_id: END, unk_id: UNKNOWN}
    return [special.get(token_id, _escaped(name)) for token_id, name in enumerate(names)]


def _escaped(name: str) -> str:
    return re.sub(r"[\s\0]|^<(?=(/?s|unk|UNK)>$)|<(?=U\+)", lambda match: f"<U+{ord(match[0]):04X}>", name)


@dataclass(frozen=True)
class ForeignNgrams:
    """An n-gram model of another tool, asked about the tokens of a run.

    What it does not know is its `<unk>`, whose probability these tokens share evenly: so they sum to 1 at most.
    """

    file: str
    names: Sequence[str]
    """What tokens are called."""
    ngrams: NgramModel
    read_as: Int64[np.ndarray, " vocab"]
    """The token that each is to the model."""
    is_unknown: Bool[np.ndarray, " vocab"]

    @property
    def order(self) -> int:
        """Number of tokens of the longest n-grams."""
        return self.ngrams.order

    @property
    def start_id(self) -> int:
        """The token that ends lines."""
        return self.ngrams.start_id

    def nats(self, tokens: Integer[np.ndarray, " tokens"]) -> Float64[np.ndarray, " tokens"]:
        """Return the surprisal of every token of a text (nats). Raises DataError if one has no probability."""
        nats = self.nats_if_any(tokens)
        if np.isinf(nats).any():
            name = self.names[tokens[np.isinf(nats).argmax()]]
            raise DataError(f"{self.file}: gives {name!r} no probability. Estimate it with {UNKNOWN} (SRILM: -unk).")
        return nats

    def nats_if_any(self, tokens: Integer[np.ndarray, " tokens"]) -> Float64[np.ndarray, " tokens"]:
        """Return the surprisal of every token of a text (nats), infinite where one has no probability."""
        shared = np.where(self.is_unknown[tokens], np.log(max(1, self.is_unknown.sum())), 0)
        with np.errstate(divide="ignore"):
            nats: np.ndarray = self.ngrams.nats(self.read_as[tokens]) + shared
        return nats

    def unknown_in(self, tokens: Integer[np.ndarray, " tokens"]) -> list[str]:
        """Return what tokens of a text are called that the model does not know."""
        return [self.names[token] for token in tokens[self.is_unknown[tokens]].tolist()]


def read_arpa(
    file: str, lines: Iterable[str], names: Sequence[str], start_id: int, unk_id: int | None
) -> ForeignNgrams:
    """Read the n-grams of an ARPA file that have no words but a run's tokens, which are called `names`.

    Raises:
        DataError: it is no such file, is cut off, or has an n-gram without its context. Messages call it `file`.
    """
    vocab_size = len(names) + 1  # the last is what `<unk>` is read as
    id_of = {word: token_id for token_id, word in enumerate(_words_of(names, start_id, unk_id))}
    id_of |= {BEGIN: start_id, UNKNOWN: vocab_size - 1, "<UNK>": vocab_size - 1}
    tables: list[NgramTable] = []
    is_known = np.zeros(vocab_size, dtype=bool)
    row_of: dict[tuple[int, ...], int] = {(): 0}
    for kept in _sections(file, lines, id_of):
        if not tables:
            is_known[[token for (token,) in kept]] = True
            kept = {(token,): kept.get((token,), (0.0, 1.0)) for token in range(vocab_size)}
        try:
            keys = np.array([row_of[ids[:-1]] * vocab_size + ids[-1] for ids in kept], dtype=np.int64)
        except KeyError as error:
            context = " ".join([*names, UNKNOWN][token] for token in error.args[0])
            raise DataError(f"{file}: has n-grams after {context!r}, but not this itself. Write it anew.") from None
        rows = np.argsort(keys)
        probability, backoff = np.array(list(kept.values()), dtype=np.float64).reshape(-1, 2)[rows].T
        tables.append(NgramTable(keys[rows], probability, backoff))
        ngrams = list(kept)
        row_of = {ngrams[old]: new for new, old in enumerate(rows.tolist())}
    is_unknown = ~is_known[:-1]
    if unk_id is not None:
        is_unknown[unk_id] = True
    read_as = np.where(is_unknown, vocab_size - 1, np.arange(vocab_size - 1))
    used = [table for table in tables if len(table.keys)]
    return ForeignNgrams(file, names, NgramModel(used, vocab_size, start_id), read_as, is_unknown)


def _sections(
    file: str, lines: Iterable[str], id_of: Mapping[str, int]
) -> Iterator[dict[tuple[int, ...], tuple[float, float]]]:
    """Yield for each length p(w | h) and b(h) of the n-grams of known words."""
    sizes: dict[int, int] = {}
    kept: dict[tuple[int, ...], tuple[float, float]] = {}
    length, n_found = 0, 0
    for number, line in enumerate(lines, start=1):
        text, title = line.strip(_BETWEEN_FIELDS), _TITLE.fullmatch(line.strip())
        if title or text == "\\end\\":
            if not title and n_found == sizes.get(length, 0) and length + 1 in sizes:
                length, n_found = length + 1, 0  # declared, but it never began
            if n_found != sizes.get(length, 0):
                problem = f"expected {sizes.get(length, 0)} {length}-grams, got {n_found}. Mend it."
                raise DataError(f"{file}:{number}: {problem}")
            if length:
                yield kept
            elif not title:
                break
            if not title:
                return
            length, n_found, kept = length + 1, 0, {}
            if title[1] != str(length):
                raise DataError(f"{file}:{number}: expected {length}-grams, got {title[1][:9]}-grams. Mend it.")
        elif size := _SIZE.fullmatch(text):
            sizes[int(size[1])] = int(size[2])
        elif length and text:
            words, scores = _entry(file, number, text, length)
            n_found += 1
            if BEGIN in words[1:] or END in words[:-1]:
                continue
            ids = tuple(id_of.get(word, -1) for word in words)
            if words == [BEGIN] or words == [END]:
                # One token is both: it is predicted as the one, and a context as the other.
                other = kept.get(ids, (0.0, 1.0))
                scores = (other[0], scores[1]) if words == [BEGIN] else (scores[0], other[1])
            if min(ids) >= 0:
                kept[ids] = scores
    problem = (
        "ends before \\end\\. Fetch or write it anew." if length else "is no ARPA file, which begins with \\data\\."
    )
    raise DataError(f"{file}: {problem}")


def _entry(file: str, number: int, text: str, length: int) -> tuple[list[str], tuple[float, float]]:
    first, *fields = [field for field in re.split(f"[{_BETWEEN_FIELDS}]", text) if field]
    try:
        logarithm, backoff = float(first), 10 ** float(fields[length]) if len(fields) > length else 1.0
        if not logarithm <= 0 or not 0 <= backoff < math.inf or not length <= len(fields) <= length + 1:
            raise ValueError
    except (ValueError, OverflowError):
        problem = f"expected a logarithm and {length} words, got {shown(text)}. Mend it."
        raise DataError(f"{file}:{number}: {problem}") from None
    return fields[:length], (10**logarithm if logarithm > ZERO else 0.0, backoff)
