"""A tokenizer that another tool has learnt: a tokenizer.json of the `tokenizers` library, or a SentencePiece model.

Lines are encoded one by one, each without its newline, and each is ended by one token: that of the newline or, where
there is none, the one that the file or the user names, or one of `LINE_ENDS`. So a text has the same ids in whatever
blocks it is read, tokenizers that know no newline can be used, and where a line ends is known.

The file is kept as it is. The library's format has no room for a model of SentencePiece, nor for a line end that the
user names: tokenizer.json then is an object with `sentencepiece` (base64) or the file as `tokenizer`, and `line_end`.
"""

import codecs
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Int32

from lstmlm.config.data import MOST_TOKENIZER_BYTES, FileTokenizerOptions
from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.corpus.tokenizers.foreign.engine import Engine
from lstmlm.corpus.tokenizers.foreign.library import LibraryEngine
from lstmlm.corpus.tokenizers.foreign.sentencepiece import SentencePieceEngine
from lstmlm.corpus.tokenizers.joining import DecodingJoiner, Joiner
from lstmlm.corpus.tokenizers.tokenizer import Ids, Tokenizer, require_utf8
from lstmlm.corpus.tokenizers.training_text import pieces_of
from lstmlm.errors import DataError, shown

LINE_ENDS = ("</s>", "<eos>", "<sos/eos>", "[EOS]", "[SEP]", "<|endoftext|>", "<|end_of_text|>")
"""Tokens that end a line where the newline is none and nothing else is said, the first of them that there is."""

_ENVELOPE = {"sentencepiece", "tokenizer"}


class FileTokenizer(Tokenizer):
    """The tokenizer of a file. Whether `decode` restores a text exactly is up to it: BERT's drops case and spaces."""

    always_restores = False

    def __init__(self, options: FileTokenizerOptions, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(options, json_text)
        names = {token_id: token for token, token_id in self._ids.items()}
        self._tokens = [names.get(token_id, f"<unused {token_id}>") for token_id in range(max(names) + 1)]
        self._contents = [self._file.content(names[i]) if i in names else b"" for i in range(len(self._tokens))]
        self._has_newline = self._file.decode([self.start_id]) == "\n"
        self.ends_open_lines = not self._has_newline
        self._has_whole_words = self._file.model_type == "WordLevel" and self._file.cuts_at_spaces
        self._space_ids = super().delimiter_ids
        self.unk_id, self.model_type = self._file.unk_id, self._file.model_type
        self.added_tokens = self._file.added_tokens
        self._is_dropped: dict[str, bool] = {}

    def _open(self, options: FileTokenizerOptions, json_text: str) -> Mapping[str, int]:
        """Choose the engine; see `Tokenizer._open`."""
        content = _object(json_text)
        self._line_end = content.get("line_end")
        self._file: Engine
        if "sentencepiece" in content:
            try:
                model = b64decode(content["sentencepiece"])
            except (TypeError, ValueError):
                raise DataError(
                    "tokenizer.json: is damaged (its sentencepiece is no base64). Restore the file from its run."
                ) from None
            self._file = SentencePieceEngine(model)
        else:
            self._file = LibraryEngine(json.dumps(content["tokenizer"]) if "tokenizer" in content else json_text)
        return self._file.ids

    @classmethod
    def train(cls, options: FileTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Read the file; nothing is counted. Raises DataError if it cannot be read or used."""
        path = Path(options.path)
        try:
            with path.open("rb") as file:
                content = file.read(MOST_TOKENIZER_BYTES + 1)
            if len(content) > MOST_TOKENIZER_BYTES:
                raise DataError(f"tokenizer.json: has over {MOST_TOKENIZER_BYTES:,} bytes. Use another tokenizer.")
            return cls(options, _json_text(content, options.line_end))
        except DataError as error:
            problem = str(error).removeprefix("tokenizer.json: ")
            remedy = "Give another file."
            raise DataError(f"{path}: {problem.replace('Restore the file from its run.', remedy)}") from None
        except FileNotFoundError:
            raise DataError(f"{path}: no such file. Check the path.") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None

    def _find_start(self) -> int:
        if self._line_end is not None:
            if self._line_end in self._ids:
                return self._ids[self._line_end]
            raise DataError(
                f"tokenizer.json: has no token {self._line_end!r}. Name another in data.tokenizer.line_end."
            )
        [newline] = self._file.encode(["\n"])
        if len(newline) == 1 and self._file.decode(newline) == "\n":
            return newline[0]
        for name in (self._file.line_end, *LINE_ENDS):
            if name in self._ids:
                return self._ids[name]
        raise DataError(
            f"tokenizer.json: has no token that ends a line, neither the newline nor one of {', '.join(LINE_ENDS)}. "
            "Name one of its tokens that the text does not have: data.tokenizer.line_end."
        )

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        for piece in pieces_of(blocks):
            # Some engines put a space before what they take for the beginning of a text.
            text = piece.removeprefix(" ") if is_line_begun and self._file.prepends_space else piece
            yield piece, np.array(self.encode_prompt(text), dtype=np.int32)
            is_line_begun = not piece.endswith("\n")
        if is_line_begun and self.ends_open_lines:
            yield "", np.array([self.start_id], dtype=np.int32)

    def restores(self, stretch: str, ids: Ids, *, is_line_begun: bool) -> bool:
        """Whether the ids of a stretch are decoded to it; see `Tokenizer.restores`."""
        # Where a line was cut, the space belongs between two stretches.
        return self.decode(ids) in (stretch, stretch.removeprefix(" ") if is_line_begun else stretch)

    def dropped(self, text: str) -> list[str]:
        """The characters that become nothing by themselves, or bytes that are no character; see `Tokenizer.dropped`."""
        for character in set(text) - self._is_dropped.keys():
            [ids] = self._file.encode([character])
            decoded = self._file.decode(ids)
            is_lost = not words_of(decoded) or ("\ufffd" in decoded and character != "\ufffd")
            self._is_dropped[character] = is_lost and self.unk_id not in ids and not is_white(character)
        return [character for character in text if self._is_dropped[character]]

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text; see `Tokenizer.encode_prompt`."""
        *lines, last = self._file.encode(require_utf8(text).split("\n"))
        return [*chain.from_iterable((*line, self.start_id) for line in lines), *last]

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text but its last word, and that word; see `Tokenizer.encode_unfinished`."""
        ids, unread = super().encode_unfinished(text)
        # Some engines put a space before what they take for the beginning of a text.
        has_space = unread.startswith(" ") or not set(self.encode_prompt(unread)[:1]) & set(self._space_ids)
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
        found, white = self._words_of_line(line, words)
        if len(found) != len(words):
            raise DataError(
                f"data.tokenizer: reads {len(words)} words as {len(found)}: {shown(line)}. "
                "Its tokens do not tell where words end; ask a model with another tokenizer."
            )
        of_words = iter(found)
        ids = [next(of_words) if words_of(piece) else [] for piece in pieces]
        if pieces and not words_of(pieces[-1]):
            ids[-1] = white + ends
        return ids

    def _words_of_line(self, line: str, words: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Ids of each word of a line with the white space before it, and of the white space at its end."""
        whole, found, white = self.encode_prompt(line), self._file.encode(words), list[int]()
        if [*chain(*found)] == whole:  # spaces are in no token, or before every word
            return found, white
        delimiter_ids, found = set(self.delimiter_ids), []
        for token_id in whole:
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
        """The tokens that begin with white space, and what ends a line; see `Tokenizer.delimiter_ids`.

        Where spaces are in no token, those that go on with no word: a mark that follows a word at once is a word too.
        """
        if self._has_whole_words:
            return []
        if not self._space_ids:
            raise DataError(
                "data.tokenizer: its tokens do not tell where words end, so there are no probabilities of words. "
                "Ask a model whose tokens have the spaces; eval perplexity, pairs and rescore work with this one."
            )
        return sorted({*self._space_ids, self.start_id})

    def unknown_pieces(self, text: str) -> list[str]:
        """The pieces of a text that become the unknown token, and characters that become none, in its order."""
        found = []
        for line in require_utf8(text).split("\n"):
            found += [piece for token_id, piece in self._file.pieces(line) if token_id == self.unk_id]
        return [piece for piece in found if piece not in self._ids] + self.dropped(text)

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are unknown because it says so; none where the file does not name that token."""
        is_read = self.unk_id is not None and self._file.reads_written_unk
        return text.count(self._tokens[self.unk_id or 0]) if is_read else 0

    def decode(self, ids: Ids) -> str:
        """The text of ids, as the file joins them."""
        lines: list[list[int]] = [[]]
        for token_id in map(int, ids):
            if token_id == self.start_id:
                lines.append([])
            else:
                lines[-1].append(token_id)
        return "\n".join(map(self._file.decode, lines))

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that decodes as much of a line as it takes."""
        ids = self.encode_prompt(prompt.rpartition("\n")[2])
        return DecodingJoiner(self._file.decode, self.start_id, ids)


def _json_text(content: bytes, line_end: str | None) -> str:
    """The content of a file as tokenizer.json, with the line end that the user names."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.lstrip()[:1] != b"{":
        whole: dict[str, Any] = {"sentencepiece": b64encode(content).decode("ascii")}
    elif line_end is None:
        return content.decode("utf-8", "replace")
    else:
        file = _object(content.decode("utf-8", "replace"))
        whole = file if file.keys() & _ENVELOPE else {"tokenizer": file}
    return json.dumps(whole | ({} if line_end is None else {"line_end": line_end}), ensure_ascii=False)


def _object(json_text: str) -> dict[str, Any]:
    """A JSON object; an empty one in place of what is none, of which the library says more."""
    try:
        content = json.loads(json_text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
