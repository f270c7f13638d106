"""What cuts a line of text for `FileTokenizer`, and joins its tokens: one class for each kind of file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence


class Engine(ABC):
    """A tokenizer of another tool; lines come without the newline at their end."""

    ids: Mapping[str, int]
    """Of every token, by what the file calls it."""

    unk_id: int | None
    line_end: str | None = None
    """The token that ends a line by what the file says."""

    model_type: str
    added_tokens: Sequence[str] = ()
    cuts_at_spaces = False
    """Whether a space is in no token, so that words can be cut one by one."""

    prepends_space: bool
    """Whether there is a space before what is taken for the beginning of a text."""

    reads_written_unk = False
    """Whether the name of the unknown token in a text is that token."""

    @abstractmethod
    def content(self, token: str) -> bytes:
        """What a token is in a text; a space before it says that the word before it is complete."""

    @abstractmethod
    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of a line, with U+FFFD in place of what is not UTF-8."""

    @abstractmethod
    def pieces(self, line: str) -> list[tuple[int, str]]:
        """Ids of a line, each with what it stands for there."""
