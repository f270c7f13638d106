"""A tokenizer that another tool has learnt: a tokenizer.json of the `tokenizers` library, or a SentencePiece model.

Lines are encoded one by one, each without its newline, and each is ended by one token: that of the newline or, where
there is none, one of `LINE_ENDS`. So a text has the same ids in whatever blocks it is read, tokenizers that know no
newline can be used, and where a line ends is known.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32

from lstmlm.config.data import MOST_TOKENIZER_BYTES, FileTokenizerOptions
from lstmlm.corpus.reading.json_lines import shown
from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.corpus.tokenizers.components import component_types, require_known_components
from lstmlm.corpus.tokenizers.foreign.sentencepiece import SPACE, to_tokenizer_json
from lstmlm.corpus.tokenizers.joining import DecodingJoiner, Joiner
from lstmlm.corpus.tokenizers.tokenizer import Ids, Tokenizer, byte_alphabet, require_utf8
from lstmlm.corpus.tokenizers.training_text import pieces_of
from lstmlm.errors import DataError

LINE_ENDS = ("</s>", "<eos>", "[EOS]", "[SEP]", "<|endoftext|>", "<|end_of_text|>")
"""Tokens that end a line where the newline is none, the first of them that there is."""


class FileTokenizer(Tokenizer):
    """The tokenizer of a file. Whether `decode` restores a text exactly is up to it: BERT's drops case and spaces."""

    def __init__(self, options: FileTokenizerOptions, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(options, json_text)
        names = {token_id: token for token, token_id in self._ids.items()}
        self._tokens = [names.get(token_id, f"<unused {token_id}>") for token_id in range(max(names) + 1)]
        self._has_newline = self._decode_line([self.start_id]) == "\n"
        self.ends_open_lines = not self._has_newline
        content = json.loads(self._engine.to_str())
        model = content["model"]
        self.unk_id = model["unk_id"] if "unk_id" in model else self._ids.get(model.get("unk_token"))
        self._prepends_space = "Prepend" in component_types(content, "normalizer")
        self._has_whole_words = model["type"] == "WordLevel"
        is_byte_level = "ByteLevel" in component_types(content, "decoder")
        self._contents = _contents_of(self._tokens, is_byte_level=is_byte_level)
        self._space_ids = super().delimiter_ids

    def _require_harmless(self, options: FileTokenizerOptions) -> None:
        require_known_components(json.loads(self._engine.to_str()))
        ids = self._engine.get_vocab().values()
        if not ids or max(ids) >= 2 * len(ids):
            raise DataError("tokenizer.json: most of its ids have no token. Use another tokenizer.")
        self._engine.no_truncation()
        self._engine.no_padding()

    @classmethod
    def train(cls, options: FileTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Read the file; nothing is counted. Raises DataError if it cannot be read or used."""
        path = Path(options.path)
        try:
            with path.open("rb") as file:
                content = file.read(MOST_TOKENIZER_BYTES + 1)
            if len(content) > MOST_TOKENIZER_BYTES:
                raise DataError(f"tokenizer.json: has over {MOST_TOKENIZER_BYTES:,} bytes. Use another tokenizer.")
            json_text = content.decode("utf-8") if content.lstrip()[:1] == b"{" else to_tokenizer_json(content)
            library.Tokenizer.from_str(json_text)
            return cls(options, json_text)
        except DataError as error:
            raise DataError(f"{path}: {str(error).removeprefix('tokenizer.json: ')}") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}). Check data.tokenizer.path.") from None
        except Exception as error:  # the library raises nothing more specific
            raise DataError(f"{path}: not a tokenizer ({error}). Give another data.tokenizer.path.") from error

    def _find_start(self) -> int:
        newline = self._engine.encode("\n", add_special_tokens=False).ids
        if len(newline) == 1 and self._decode_line(newline) == "\n":
            return newline[0]
        for name in LINE_ENDS:
            if name in self._ids:
                return self._ids[name]
        raise DataError(
            f"tokenizer.json: has no token that ends a line, neither the newline nor one of {', '.join(LINE_ENDS)}. "
            "Add one to it."
        )

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        for piece in pieces_of(blocks):
            # Some engines put a space before what they take for the beginning of a text.
            text = piece.removeprefix(" ") if is_line_begun and self._prepends_space else piece
            yield piece, np.array(self.encode_prompt(text), dtype=np.int32)
            is_line_begun = not piece.endswith("\n")
        if is_line_begun and self.ends_open_lines:
            yield "", np.array([self.start_id], dtype=np.int32)

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text; see `Tokenizer.encode_prompt`."""
        *lines, last = self._engine.encode_batch_fast(require_utf8(text).split("\n"), add_special_tokens=False)
        return [*chain.from_iterable((*line.ids, self.start_id) for line in lines), *last.ids]

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text but its last word, and that word; see `Tokenizer.encode_unfinished`."""
        ids, unread = super().encode_unfinished(text)
        # Some engines put a space before what they take for the beginning of a text.
        has_space = unread.startswith(" ") or self.encode_prompt(unread)[0] not in self._space_ids
        return ids, unread if has_space else f" {unread}"

    def encode_pieces(self, pieces: Sequence[str]) -> list[list[int]]:
        """Ids of each piece of a text; see `Tokenizer.encode_pieces`."""
        found, line = list[list[int]](), list[str]()
        for piece in pieces:
            line.append(piece)
            if piece.endswith("\n"):
                found += self._pieces_of_line(line)
                line = []
        return found + self._pieces_of_line(line)

    def _pieces_of_line(self, pieces: Sequence[str]) -> list[list[int]]:
        """Ids of words, each with the white space before it, and of what may follow them: white space, newlines."""
        text = "".join(pieces)
        line, words = text.rstrip("\n"), [piece for piece in pieces if words_of(piece)]
        ends = [self.start_id] * (len(text) - len(line))
        if self._has_whole_words:
            found = [ids for ids in map(self.encode_prompt, words) if ids]
        else:
            found, white = self._words_of_line(line)
            ends = white + ends
        if len(found) != len(words):
            raise DataError(
                f"data.tokenizer: reads {len(words)} words as {len(found)}: {shown(line)}. "
                "Its tokens do not tell where words end; ask a model with another tokenizer."
            )
        return [*found, ends][: len(pieces)]

    def _words_of_line(self, line: str) -> tuple[list[list[int]], list[int]]:
        """Ids of each word of a line with the white space before it, and of the white space at its end."""
        delimiter_ids, found, white = set(self.delimiter_ids), list[list[int]](), list[int]()
        for token_id in self.encode_prompt(line):
            if is_white(self._contents[token_id].decode("utf-8", "ignore")):
                white.append(token_id)
            elif white or not found or token_id in delimiter_ids:
                found.append([*white, token_id])
                white = []
            else:
                found[-1].append(token_id)
        return found, white

    @property
    def delimiter_ids(self) -> list[int]:
        """The tokens that begin with white space, and what ends a line; see `Tokenizer.delimiter_ids`."""
        if self._has_whole_words:
            return []
        if not self._space_ids:
            raise DataError(
                "data.tokenizer: its tokens do not tell where words end, so there are no probabilities of words. "
                "Ask a model whose tokens have the spaces."
            )
        return sorted({*self._space_ids, self.start_id})

    def unknown_pieces(self, text: str) -> list[str]:
        """The distinct pieces of a text that become the unknown token, in the order of the text."""
        found = []
        for line in require_utf8(text).split("\n"):
            encoding = self._engine.encode(line, add_special_tokens=False)
            spans = zip(encoding.ids, encoding.offsets, strict=True)
            found += [line[slice(*span)] for token_id, span in spans if token_id == self.unk_id]
        return [piece for piece in dict.fromkeys(found) if piece not in self._ids]

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are unknown because it says so; none where the file does not name that token."""
        is_read = self.unk_id in self._engine.get_added_tokens_decoder() or self._has_whole_words
        return text.count(self._tokens[self.unk_id]) if self.unk_id is not None and is_read else 0

    def decode(self, ids: Ids) -> str:
        """The text of ids, as the file joins them."""
        lines: list[list[int]] = [[]]
        for token_id in map(int, ids):
            if token_id == self.start_id:
                lines.append([])
            else:
                lines[-1].append(token_id)
        return "\n".join(map(self._decode_line, lines))

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that decodes as much of a line as it takes."""
        ids = self.encode_prompt(prompt.rpartition("\n")[2])
        return DecodingJoiner(self._decode_line, self.start_id, ids)

    def _decode_line(self, ids: Sequence[int]) -> str:
        return self._engine.decode(list(ids), skip_special_tokens=False)


def _contents_of(tokens: Iterable[str], *, is_byte_level: bool) -> list[bytes]:
    """What tokens are in a text; a file writes bytes as characters, or else the space and single bytes by name."""
    if is_byte_level:
        whole, parts = {}, {character: bytes([byte]) for byte, character in enumerate(byte_alphabet())}
    else:
        whole, parts = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}, {SPACE: b" "}
    return [whole.get(token) or b"".join(parts.get(char, char.encode()) for char in token) for token in tokens]
