"""The tokenizer of a run as a plain `PreTrainedTokenizerFast`: the same ids, after the token that begins a text."""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers as library
from tokenizers import decoders

from lstmlm.config.data import DataOptions
from lstmlm.corpus.reading.splits import beginning_of
from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.errors import ConfigError

MOST_PROBED = 2000
"""Tokens of the vocabulary that the probe has."""

_ANOTHER = (
    "Export a model whose tokenizer is word, char, byte, bpe or unigram, or the weights alone: lstmlm export torch"
)

SPLIT_SPECIAL_TOKENS = "split_special_tokens"

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
    elif _splits_special_tokens(content, tokenizer) is None:
        line_ends = {"type": "Split", "pattern": {"String": "\n"}, "behavior": "Isolated", "invert": False}
        before = [content["pre_tokenizer"]] if content["pre_tokenizer"] else []
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [line_ends, *before]}
    if _splits_special_tokens(content, tokenizer) is None:
        raise ConfigError(
            f"tokenizer.json: reads each line by itself, which a plain tokenizer of transformers cannot. {_ANOTHER}"
        )
    return json.dumps(content, ensure_ascii=False, indent=2)


def read_as_in_training(json_text: str, options: DataOptions) -> str:
    """The content of tokenizer.json for a run of these options: if it knows no lines, newlines are read as blanks."""
    if (blank := beginning_of("\n", options)) == "\n":
        return json_text
    content = json.loads(json_text)
    blanks = {"type": "Replace", "pattern": {"String": "\n"}, "content": blank}
    after = [content["normalizer"]] if content["normalizer"] else []
    content["normalizer"] = {"type": "Sequence", "normalizers": [blanks, *after]}
    return json.dumps(content, ensure_ascii=False, indent=2)


def tokenizer_config(tokenizer: Tokenizer, json_text: str) -> Mapping[str, Any]:
    """The content of tokenizer_config.json beside that of tokenizer.json."""
    start = start_token(tokenizer)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Nothing is added to the vocabulary: what pads a batch is hidden by the attention mask.
        "bos_token": start,
        "eos_token": start,
        "pad_token": start,
        "unk_token": _unknown_token(tokenizer),
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        # A text that spells a special token is read as in training.
        SPLIT_SPECIAL_TOKENS: _splits_special_tokens(json.loads(json_text), tokenizer),
        "clean_up_tokenization_spaces": False,
    }


def start_token(tokenizer: Tokenizer) -> str:
    """What the library calls the token that ends a line, and begins a text."""
    return str(_engine(tokenizer).id_to_token(tokenizer.start_id))


def probe(tokenizer: Tokenizer) -> str:
    """A text of the tokens of the vocabulary, and of what tokenizers are likeliest to differ on."""
    every = max(1, tokenizer.vocab_size // MOST_PROBED)
    return "\n".join([tokenizer.decode(range(0, tokenizer.vocab_size, every)), *tokenizer.added_tokens, ODD_TEXT])


def engine_of_transformers(
    content: Mapping[str, Any], tokenizer: Tokenizer, *, splits_special_tokens: bool
) -> library.Tokenizer:
    """What transformers makes of a tokenizer.json and a tokenizer_config.json, whose tokens it adds as special ones."""
    engine = library.Tokenizer.from_str(json.dumps(content))
    engine.add_special_tokens(sorted({start_token(tokenizer), _unknown_token(tokenizer)}))
    engine.encode_special_tokens = splits_special_tokens
    return engine


def _unknown_token(tokenizer: Tokenizer) -> str:
    if tokenizer.unk_id is None:
        return start_token(tokenizer)
    return str(_engine(tokenizer).id_to_token(tokenizer.unk_id))


def _engine(tokenizer: Tokenizer) -> library.Tokenizer:
    return library.Tokenizer.from_str(json.dumps(_content(tokenizer)))


def _content(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json as the library knows it, which has no word for how a file of a user's is read."""
    content: dict[str, Any] = json.loads(tokenizer.to_json())
    if "sentencepiece" in content:
        raise ConfigError(f"tokenizer.json: is a SentencePiece model, which makes other ids there. {_ANOTHER}")
    inner: dict[str, Any] = content.get("tokenizer", content)  # of a file with the line end that the user has named
    return inner


def _splits_special_tokens(content: Mapping[str, Any], tokenizer: Tokenizer) -> bool | None:
    """Whether transformers makes the same ids of a text where special tokens in it are text; None: neither way."""
    text = probe(tokenizer)
    ids = [tokenizer.start_id, *tokenizer.encode_prompt(text)]
    engines = {
        splits: engine_of_transformers(content, tokenizer, splits_special_tokens=splits) for splits in (True, False)
    }
    return next((splits for splits, engine in engines.items() if engine.encode(text).ids == ids), None)


def _decoder_state(decoder: decoders.Decoder) -> bytes:
    return bytes(decoder.__getstate__())
