"""What a tokenizer is by itself."""

from typing import Any

from lstmlm.corpus.tokenizers.tokenizer import Tokenizer

N_LONGEST = 10
"""Tokens that a description lists."""


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    """What there is to say of a tokenizer by itself, by the names of JSON."""
    tokens = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
    return {
        "model": tokenizer.model_type,
        "vocab_size": tokenizer.vocab_size,
        "line_end": tokenizer.token(tokenizer.start_id),
        "unk": None if tokenizer.unk_id is None else tokenizer.token(tokenizer.unk_id),
        "added_tokens": list(tokenizer.added_tokens),
        "longest_tokens": sorted(tokens, key=lambda token: (-len(token), token))[:N_LONGEST],
        "sha256": tokenizer.digest,
    }
