"""What a tokenizer is, and how it cuts a text: figures that need no model."""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers.tokenizer import Tokenizer
from lstmlm.errors import DataError

N_LONGEST = 10
"""Tokens that a description lists."""


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    """What there is to say of a tokenizer by itself, by the names of JSON."""
    content = json.loads(tokenizer.to_json())
    tokens = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
    return {
        "model": content["model"].get("type"),
        "vocab_size": tokenizer.vocab_size,
        "line_end": tokenizer.token(tokenizer.start_id),
        "unk": None if tokenizer.unk_id is None else tokenizer.token(tokenizer.unk_id),
        "added_tokens": [token["content"] for token in content["added_tokens"]],
        "longest_tokens": sorted(tokens, key=lambda token: (-len(token), token))[:N_LONGEST],
        "sha256": tokenizer.digest,
    }


def measure(tokenizer: Tokenizer, blocks: Iterable[str]) -> dict[str, int | float | bool | None]:
    """How a tokenizer cuts a text, by the names of JSON.

    `unigram_bits_per_byte` is the entropy of the tokens' own frequencies: None where some are unknown, because whoever
    predicts `<unk>` need not spell what it stands for.

    Raises:
        DataError: there is nothing but white space.
    """
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    n_words = n_bytes = 0
    restores_text = True
    is_line_begun = False
    for stretch, ids in tokenizer.encode_blocks(blocks):
        counts += np.bincount(ids, minlength=tokenizer.vocab_size)
        n_words += len(words_of(stretch))
        n_bytes += len(stretch.encode())
        if stretch:  # or else a last line that is not ended is ended by its tokens
            # Where a line was cut, the space belongs between two stretches.
            shown = stretch.removeprefix(" ") if is_line_begun else stretch
            restores_text = restores_text and tokenizer.decode(ids) in (stretch, shown)
        is_line_begun = not stretch.endswith("\n")
    if n_words == 0:
        raise DataError("--text: has no words. Give a text that has some.")
    n_tokens = int(counts.sum())
    n_unk = 0 if tokenizer.unk_id is None else int(counts[tokenizer.unk_id])
    shares = counts[counts > 0] / n_tokens
    bits = -n_tokens * math.fsum(shares * np.log2(shares))
    return {
        "vocab_size": tokenizer.vocab_size,
        "n_tokens": n_tokens,
        "n_types": len(shares),
        "tokens_per_word": n_tokens / n_words,
        "bytes_per_token": n_bytes / n_tokens,
        "unk_rate": n_unk / n_tokens,
        "unigram_bits_per_byte": None if n_unk else bits / n_bytes,
        "restores_text": restores_text,
    }
