"""SentencePiece models, cut by SentencePiece itself: its ids, whatever kind of model it is.

Its normalisation, float32 scores and reserved pieces cannot be said in a tokenizer.json of the `tokenizers` library.
"""

from collections.abc import Sequence

from lstmlm.corpus.tokenizers.foreign.engine import Engine
from lstmlm.errors import DataError

SPACE = "▁"


class SentencePieceEngine(Engine):
    """A `.model`; see `Engine`."""

    model_type = "SentencePiece"

    def __init__(self, content: bytes) -> None:
        """Take the content of a `.model`. Raises DataError if it is none."""
        from sentencepiece import SentencePieceProcessor  # half as slow as torch to import, and rarely asked for

        try:
            if not content:  # which the package takes for a model that is still to come
                raise RuntimeError
            self._model = SentencePieceProcessor(model_proto=content)
        except RuntimeError:
            raise DataError(
                "tokenizer.json: is neither a tokenizer.json nor a SentencePiece model. Give another file."
            ) from None
        pieces = [self._model.id_to_piece(piece_id) for piece_id in range(self._model.get_piece_size())]
        self.ids = {piece: piece_id for piece_id, piece in enumerate(pieces)}
        self.unk_id = self._model.unk_id()
        self.line_end = pieces[self._model.eos_id()] if self._model.eos_id() >= 0 else None
        of_a_word = "".join(self._model.encode("a", out_type=str))
        self.prepends_space, self._appends_space = of_a_word.startswith(SPACE), of_a_word.endswith(SPACE)

    def content(self, token: str) -> bytes:
        """What a piece is in a text; where spaces end words, none says by them that the word before it is complete."""
        return token.encode() if self._appends_space else self._spelled(token)

    def _spelled(self, token: str) -> bytes:
        if self._model.is_byte(self.ids[token]):
            return bytes([int(token[3:5], 16)])
        return token.replace(SPACE, " ").encode()

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line."""
        ids: list[list[int]] = self._model.encode(list(lines), num_threads=-1 if len(lines) > 1 else 1)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a line, with U+FFFD in place of what is not UTF-8."""
        pieces = (self._model.id_to_piece(piece_id) for piece_id in ids)
        text = b"".join(map(self._spelled, pieces)).decode("utf-8", errors="replace")
        text = text.removeprefix(" ") if self.prepends_space else text
        return text.removesuffix(" ") if self._appends_space else text

    def pieces(self, line: str) -> list[tuple[int, str]]:
        """Ids of a line, each with what it is there, as the model's normalisation writes it."""
        return list(zip(self._model.encode(line), self._model.encode(line, out_type=str), strict=True))
