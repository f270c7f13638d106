"""Files of the `tokenizers` library: what is run of them, and what they leave to be inferred.

A file whose unknown token is missing or whose normaliser is broken would fail at the first text that needs it, so it is
refused at once. Where it has no decoder, or one that does not fit, the one is taken that undoes what the file does to
white space.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import decoders

from lstmlm.corpus.tokenizers.components import (
    as_tokenizer_errors,
    component_types,
    components_of,
    open_engine,
    require_known_components,
)
from lstmlm.corpus.tokenizers.foreign.engine import Engine
from lstmlm.corpus.tokenizers.foreign.sentencepiece import SPACE
from lstmlm.corpus.tokenizers.tokenizer import byte_alphabet
from lstmlm.errors import DataError

_PROBE = "\n☃ a"
"""A text that says whether one can be encoded."""

_BYTES = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}
"""What some files call bytes."""


class LibraryEngine(Engine):
    """A tokenizer.json of the library; see `Engine`."""

    def __init__(self, json_text: str) -> None:
        """Take the content of a file. Raises DataError if it is none, or asks for what cannot be run."""
        self._engine = open_engine(json_text)
        content = json.loads(self._engine.to_str())
        require_known_components(content)
        self.ids = self._engine.get_vocab()
        if not self.ids or max(self.ids.values()) >= 2 * len(self.ids):
            raise DataError("tokenizer.json: most of its ids have no token. Use another tokenizer.")
        model = content["model"]
        _require_unknown_token(model)
        self._engine.no_truncation()
        self._engine.no_padding()
        with as_tokenizer_errors():
            self._engine.encode(_PROBE)
            self.cuts_at_spaces = self._splits("a b") == ["a", "b"]
        self.model_type = model["type"]
        self.added_tokens = [token["content"] for token in content["added_tokens"]]
        self.unk_id = model["unk_id"] if "unk_id" in model else self.ids.get(model.get("unk_token"))
        self.reads_written_unk = (
            self.unk_id in self._engine.get_added_tokens_decoder() or self.model_type == "WordLevel"
        )
        self.prepends_space = "Prepend" in component_types(content, "normalizer")
        self._space = _replacement_of_space(content)
        self._prefix = model.get("continuing_subword_prefix") or ""
        decoder = _missing_decoder(content, self._space, fuses=not self.cuts_at_spaces)
        self._engine.decoder = decoder or self._engine.decoder
        self._is_byte_level = isinstance(decoder, decoders.ByteLevel) or "ByteLevel" in component_types(
            content, "decoder"
        )
        self._byte_of = {character: bytes([byte]) for byte, character in enumerate(byte_alphabet())}

    def _splits(self, text: str) -> list[str]:
        """The parts of a text that tokens cannot reach across."""
        before = self._engine.pre_tokenizer
        return [text[slice(*span)] for _, span in before.pre_tokenize_str(text)] if before else [text]

    def content(self, token: str) -> bytes:
        """What a token is in a text; where white space has no tokens, one that goes on with no word has it before."""
        if self._is_byte_level:
            return b"".join(self._byte_of.get(character, character.encode()) for character in token)
        if self._prefix and self.cuts_at_spaces:
            goes_on = token.startswith(self._prefix)
            return token.removeprefix(self._prefix).encode() if goes_on else f" {token}".encode()
        return _BYTES.get(token) or token.replace(self._space, " ").encode()

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line."""
        return [line.ids for line in self._engine.encode_batch_fast(list(lines), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a line, as the file joins its tokens."""
        return self._engine.decode(list(ids), skip_special_tokens=False)

    def pieces(self, line: str) -> list[tuple[int, str]]:
        """Ids of a line, each with what it is there."""
        encoding = self._engine.encode(line, add_special_tokens=False)
        return [(token_id, line[slice(*span)]) for token_id, span in zip(encoding.ids, encoding.offsets, strict=True)]


def _require_unknown_token(model: Mapping[str, Any]) -> None:
    """Refuse a model that could not cut a text with what it does not know; BPE drops that where it has no token."""
    name, vocabulary = model.get("unk_token"), model["vocab"]
    if name is not None and name not in vocabulary:
        raise DataError(
            f"tokenizer.json: names {name!r} as its unknown token, but has none in its vocabulary. "
            "Add it there, or use another tokenizer."
        )
    is_total = model["type"] != "Unigram" or {token for token, _ in vocabulary}.issuperset(byte_alphabet())
    if not is_total and model["unk_id"] is None:
        raise DataError(
            "tokenizer.json: has no unknown token, so that nothing can be cut that has a character it does not know. "
            "Set unk_id in it, or use another tokenizer."
        )


def _replacement_of_space(content: Mapping[str, Any]) -> str:
    """What the file writes for a space."""
    for section in ("pre_tokenizer", "normalizer", "decoder"):
        for component in components_of(content[section]):
            if component["type"] == "Metaspace":
                return str(component["replacement"])
            if component["type"] == "Replace" and component["pattern"] == {"String": " "} and component["content"]:
                return str(component["content"])
    return SPACE


def _missing_decoder(content: Mapping[str, Any], space: str, *, fuses: bool) -> decoders.Decoder | None:
    """The decoder that undoes what is done to white space; None where the file has one that does.

    Without any, the library puts a space between tokens, which is right for words; `fuses` says that white space is in
    the tokens.
    """
    model, kinds = content["model"], component_types(content, "decoder")
    before = component_types(content, "pre_tokenizer") | component_types(content, "normalizer")
    undone = [
        step.get("replacement") or step.get("pattern", {}).get("String") for step in components_of(content["decoder"])
    ]
    if "ByteLevel" in before:
        return None if "ByteLevel" in kinds else decoders.ByteLevel()
    if "Metaspace" in before:
        scheme = next(c["prepend_scheme"] for c in components_of(content["pre_tokenizer"]) if c["type"] == "Metaspace")
        return None if space in undone else decoders.Metaspace(space, scheme)
    if kinds:
        return None
    if model.get("continuing_subword_prefix"):
        return decoders.WordPiece(model["continuing_subword_prefix"])
    if model.get("end_of_word_suffix"):
        return decoders.BPEDecoder(model["end_of_word_suffix"])
    if not fuses:
        return None
    steps = [decoders.Replace(space, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if "Prepend" in before else steps)
