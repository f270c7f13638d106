"""Joiners: generated tokens, one at a time, to a text as a person would write it."""

import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

_ATTACHED_TO_THE_LEFT = re.compile(
    r"(?:[,.!?;:)\]}%…’”]|''|\.{2,}"
    r"|n['’]t|['’](?:s|re|ve|ll|d|m|t))",  # Penn Treebank cuts do|n't and company|'s
    re.IGNORECASE,
)
_ATTACHED_TO_THE_RIGHT = re.compile(r"(?:[(\[{“‘`#£€]|``|\w*\$)")
_ATTACHED_TO_BOTH = re.compile(r"/|@([-,.])@")
"""WikiText cuts well|@-@|known, 1|@,@|000 and 3|@.@|5."""


CONTEXT_TOKENS = 8
"""What a token adds to a text depends on no more tokens before it than this."""


class Joiner(ABC):
    """Turns tokens into text as they come; what it returns is to be appended to the text so far."""

    @abstractmethod
    def feed(self, token_id: int) -> str:
        """The text that a token adds; empty while a character is incomplete."""

    def flush(self) -> str:
        """The text that has been held back when no token follows."""
        return ""


class ByteJoiner(Joiner):
    """Bytes of UTF-8; what is not becomes U+FFFD."""

    def __init__(self, contents: Sequence[bytes]) -> None:
        """Take the bytes of every id; begin between two characters."""
        self._contents = contents
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """The characters that these bytes complete."""
        return self._decoder.decode(self._contents[token_id])

    def flush(self) -> str:
        """U+FFFD in place of an incomplete character."""
        return self._decoder.decode(b"", final=True)


class DecodingJoiner(Joiner):
    """Tokens that have to be decoded together with those before them, because spaces depend on them."""

    def __init__(self, decode: Callable[[Sequence[int]], str], line_end_id: int, ids: Sequence[int]) -> None:
        """Take what decodes a line, the token that ends one, and the line that the text goes on from."""
        self._decode = decode
        self._line_end_id = line_end_id
        self._told, self._held_back = list(ids), list[int]()

    def feed(self, token_id: int) -> str:
        """What the token adds to its line; empty while a character is incomplete."""
        if token_id == self._line_end_id:
            rest = self.flush()
            self._told = []
            return rest + "\n"
        self._held_back.append(token_id)
        text = self._added()
        if text.endswith("\ufffd"):
            return ""
        self._told, self._held_back = self._told[-CONTEXT_TOKENS:] + self._held_back, []
        return text

    def flush(self) -> str:
        """U+FFFD in place of an incomplete character."""
        text = self._added()
        self._told, self._held_back = self._told + self._held_back, []
        return text

    def _added(self) -> str:
        return self._decode(self._told + self._held_back)[len(self._decode(self._told)) :]


class WordJoiner(Joiner):
    """Words and punctuation marks, spaced as a person would; straight quotes open and close in turn on a line."""

    def __init__(self, tokens: Sequence[str], eos_id: int, prompt: str = "") -> None:
        """Take the text of every id, and the prompt that the text goes on from."""
        self._tokens = tokens
        self._eos_id = eos_id
        line = prompt.rpartition("\n")[2]
        self._previous = line.split()[-1] if line.strip() else ""
        self._open_quotes = {'"'} if line.count('"') % 2 else set[str]()
        self._space_is_due = not (
            line == ""
            or line[-1].isspace()
            or _ATTACHED_TO_THE_RIGHT.fullmatch(line[-1])
            or (line[-1] == '"' and self._open_quotes)
        )

    def feed(self, token_id: int) -> str:
        """The word with the space before it, if one is due; a newline for the end of a line."""
        if token_id == self._eos_id:
            self._previous, self._open_quotes, self._space_is_due = "", set(), False
            return "\n"
        piece = self._tokens[token_id]
        both = _ATTACHED_TO_BOTH.fullmatch(piece)
        if piece in ('"', "'"):
            to_the_left, to_the_right = self._place_quote(piece)
        else:
            to_the_left = bool(both or _ATTACHED_TO_THE_LEFT.fullmatch(piece))
            to_the_right = bool(both or _ATTACHED_TO_THE_RIGHT.fullmatch(piece))
        space = " " if self._space_is_due and not to_the_left else ""
        self._previous, self._space_is_due = piece, not to_the_right
        return space + (both[1] or piece if both else piece)

    def _place_quote(self, mark: str) -> tuple[bool, bool]:
        """Whether a straight quote belongs to the word on its left, or to the one on its right."""
        if mark in self._open_quotes:
            self._open_quotes.remove(mark)
            return True, False
        if mark == "'" and self._previous.lower().endswith("s"):
            return True, False  # the dogs' tails
        self._open_quotes.add(mark)
        return False, True
