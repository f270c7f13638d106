"""The tokenizer of a run as a plain `PreTrainedTokenizerFast`: the same ids, after the token that begins a text."""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers as library
from tokenizers import decoders

from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.errors import ConfigError

MOST_PROBED = 2000
"""Tokens of the vocabulary that the probe has."""

_ANOTHER = (
    "Export a model whose tokenizer is word, char, byte, bpe or unigram, or the weights alone: lstmlm export torch"
)

ODD_TEXT = "  two  spaces, a\ttab\n\n \n<eos> x<eos>y <unk>\r\u2028 naïve 東京 \U0001f600 3.11 don't\nend"
"""What tokenizers are likeliest to differ on."""


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """The content of tokenizer.json.

    Raises:
        ConfigError: it would not give the same ids.
    """
    content = _content(tokenizer)
    start = start_token(tokenizer)
    bos, text, pair = (
        {"SpecialToken": {"id": start, "type_id": 0}},
        *({"Sequence": {"id": i, "type_id": 0}} for i in "AB"),
    )
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [bos, text],
        "pair": [bos, text, pair],
        "special_tokens": {start: {"id": start, "ids": [tokenizer.start_id], "tokens": [start]}},
    }
    if start == EOS and content["decoder"] is None:
        # Words: one space between them, and `<eos>` is the newline that it was read from.
        parts = [decoders.WordPiece("\n", cleanup=False), decoders.Fuse()]
        parts += [decoders.Replace(*pair) for pair in ((f" {EOS}", "\n"), (EOS, "\n"), ("\n ", "\n"))]
        content["decoder"] = json.loads(_decoder_state(decoders.Sequence(parts)))
    elif _reads(content, tokenizer) is False:
        line_ends = {"type": "Split", "pattern": {"String": "\n"}, "behavior": "Isolated", "invert": False}
        before = [content["pre_tokenizer"]] if content["pre_tokenizer"] else []
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [line_ends, *before]}
    if not _reads(content, tokenizer):
        raise ConfigError(
            f"tokenizer.json: reads each line by itself, which a plain tokenizer of transformers cannot. {_ANOTHER}"
        )
    return json.dumps(content, ensure_ascii=False, indent=2)


def tokenizer_config(tokenizer: Tokenizer) -> Mapping[str, Any]:
    """The content of tokenizer_config.json."""
    start = start_token(tokenizer)
    unk = start if tokenizer.unk_id is None else _engine(tokenizer).id_to_token(tokenizer.unk_id)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Nothing is added to the vocabulary: what pads a batch is hidden by the attention mask.
        "bos_token": start,
        "eos_token": start,
        "pad_token": start,
        "unk_token": unk,
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        # A text that spells a special token is read as in training.
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }


def start_token(tokenizer: Tokenizer) -> str:
    """What the library calls the token that ends a line, and begins a text."""
    return str(_engine(tokenizer).id_to_token(tokenizer.start_id))


def probe(tokenizer: Tokenizer) -> str:
    """A text of the tokens of the vocabulary, and of what tokenizers are likeliest to differ on."""
    every = max(1, tokenizer.vocab_size // MOST_PROBED)
    return tokenizer.decode(range(0, tokenizer.vocab_size, every)) + "\n" + ODD_TEXT


def _engine(tokenizer: Tokenizer) -> library.Tokenizer:
    return library.Tokenizer.from_str(json.dumps(_content(tokenizer)))


def _content(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json as the library knows it, which has no word for how a file of a user's is read."""
    content: dict[str, Any] = json.loads(tokenizer.to_json())
    if "sentencepiece" in content:
        raise ConfigError(f"tokenizer.json: is a SentencePiece model, which makes other ids there. {_ANOTHER}")
    inner: dict[str, Any] = content.get("tokenizer", content)  # of a file with the line end that the user has named
    return inner


def _reads(content: Mapping[str, Any], tokenizer: Tokenizer) -> bool:
    """Whether the library makes the same ids of a text."""
    text = probe(tokenizer)
    ids = library.Tokenizer.from_str(json.dumps(content)).encode(text).ids
    return bool(ids == [tokenizer.start_id, *tokenizer.encode_prompt(text)])


def _decoder_state(decoder: decoders.Decoder) -> bytes:
    return bytes(decoder.__getstate__())
