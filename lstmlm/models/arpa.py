"""ARPA, the text file of n-gram models that SRILM, KenLM and Kaldi read: p(w | h) and b(h) as logarithms to base 10."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from lstmlm.models.ngram import NgramModel

NGRAMS_PER_BLOCK = 65536


def arpa_blocks(model: NgramModel, names: Sequence[str]) -> Iterator[str]:
    """Yield the file in blocks of whole lines; `names` of tokens that ARPA cannot have are `_escaped`."""
    begin_id = len(names)
    words = np.array([*map(_escaped, names), "<s>"], dtype=object)
    words[model.start_id] = "</s>"

    sizes = [len(table.keys) for table in model.tables]
    sizes[0] += 1  # `<s>`
    yield "\\data\\\n" + "".join(f"ngram {length}={size}\n" for length, size in enumerate(sizes, start=1))
    for length, table in enumerate(model.tables, start=1):
        yield f"\n\\{length}-grams:\n"
        probability, backoff = np.log10(table.probability), np.log10(table.backoff)
        if length == 1:
            yield f"-99\t<s>\t{backoff[model.start_id]:.7g}\n"  # nothing predicts the beginning of a line
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


def _escaped(name: str) -> str:
    """Write `<U+0020>` for white space, which would end the name, and for the `<` of names that mean a line's ends."""
    return re.sub(r"\s|^<(?=/?s>$)", lambda match: f"<U+{ord(match[0]):04X}>", name)
