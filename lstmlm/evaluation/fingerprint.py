"""What a figure depends on besides the model: only figures with the same fingerprint can be compared."""

import hashlib
import json
from typing import Literal

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.reading.decoding import NORMALIZATION
from lstmlm.corpus.tokenizers import EOS, Tokenizer

Context = Literal["document", "line"]
"""What a token is predicted from: all of the text before it, or its own line, from the zero state after a line end."""


def fingerprint(text: EncodedText, tokenizer: Tokenizer, context: Context) -> dict[str, str]:
    """Return what was read, how it was cut and what was counted, and last the SHA-256 over these parts as JSON."""
    line_end = EOS if tokenizer.token(tokenizer.start_id) == EOS else "newlines"
    parts = {
        "context": context,
        "counted": f"every token, {line_end} included",
        "normalization": NORMALIZATION,
        "text_sha256": text.sha256,
        "tokenizer_sha256": tokenizer.digest,
    }
    return {**parts, "fingerprint": hashlib.sha256(json.dumps(parts).encode()).hexdigest()}
