"""Joiners: generated tokens, one at a time, to a text as a person would write it."""

import codecs
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from lstmlm.corpus.tokenizers.spacing import Roles, Spacing, prompt_roles

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

    def copy(self) -> Self:
        """Another joiner that goes on from here."""
        return copy.copy(self)


class RawJoiner(Joiner):
    """Tokens by their names, a blank between them; a line ends where the token says so."""

    def __init__(self, name_of: Callable[[int], str], line_end_id: int, prompt: str) -> None:
        """Take what names a token, the token that ends a line, and the prompt that the tokens follow."""
        self._name_of = name_of
        self._line_end_id = line_end_id
        self._blank = " " if prompt and not prompt[-1].isspace() else ""

    def feed(self, token_id: int) -> str:
        """The name of the token."""
        is_end = token_id == self._line_end_id
        text = self._blank + self._name_of(token_id).removesuffix("\n") + ("\n" if is_end else "")
        self._blank = "" if is_end else " "
        return text


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

    def copy(self) -> Self:
        """Another joiner that goes on from here."""
        other = super().copy()
        other._decoder = copy.deepcopy(self._decoder)
        return other


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

    def copy(self) -> Self:
        """Another joiner that goes on from here."""
        other = super().copy()
        other._held_back = list(self._held_back)
        return other

    def _added(self) -> str:
        return self._decode(self._told + self._held_back)[len(self._decode(self._told)) :]


class WordJoiner(Joiner):
    """Words and marks, with what stood between such in the training text."""

    def __init__(self, tokens: Sequence[str], eos_id: int, spacing: Spacing, prompt: str = "") -> None:
        """Take the text of every id, what stands between two, and the prompt that the text goes on from."""
        self._tokens = tokens
        self._eos_id = eos_id
        self._spacing = spacing
        self._roles, self._left = prompt_roles(prompt.rpartition("\n")[2])

    def feed(self, token_id: int) -> str:
        """The word with what stands before it; a newline for the end of a line."""
        if token_id == self._eos_id:
            self._roles, self._left = Roles(), ""
            return "\n"
        piece = self._tokens[token_id]
        role = self._roles.next(piece)
        between = self._spacing.between(self._left, role) if self._left else ""
        self._left = role
        return between + self._spacing.written(piece)

    def copy(self) -> Self:
        """Another joiner that goes on from here."""
        other = super().copy()
        other._roles = copy.deepcopy(self._roles)
        return other
