"""What stands between two words or marks: as in the training text, or by the rules of English where nobody counted."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from lstmlm.errors import DataError

COUNTED_CHARS = 1 << 22
"""How much of a training text is counted: enough for any mark that matters."""

MOST_PAIRS = 20_000

_KINDS = ("w", "0")
"""What all words, and all numbers, are counted as."""

_PIECES = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")

_ATTACHED_TO_THE_LEFT = re.compile(
    r"(?:[,.!?;:)\]}%…’”]|['\"] closes|''|\.{2,}"
    r"|n['’]t|['’](?:s|re|ve|ll|d|m|t))",  # Penn Treebank cuts do|n't and company|'s
    re.IGNORECASE,
)
_ATTACHED_TO_THE_RIGHT = re.compile(r"(?:[(\[{“‘`#£€]|['\"] opens|``|\w*\$)")
_ATTACHED_TO_BOTH = re.compile(r"/|@([-,.])@")
"""WikiText cuts well|@-@|known, 1|@,@|000 and 3|@.@|5."""


class Roles:
    """The words and marks of a line one after the other, in which straight quotes open and close in turn."""

    def __init__(self) -> None:
        self._previous = ""
        self._open: set[str] = set()

    def next(self, piece: str) -> str:
        """The next piece itself, or what a straight quote does."""
        role = piece
        if piece in self._open:
            self._open.remove(piece)
            role = f"{piece} closes"
        elif piece == "'" and self._previous.lower().endswith("s"):
            role = f"{piece} closes"  # the dogs' tails
        elif piece in ('"', "'"):
            self._open.add(piece)
            role = f"{piece} opens"
        self._previous = piece
        return role


class Spacing(ABC):
    """What stands between two roles of a line."""

    @abstractmethod
    def between(self, left: str, right: str) -> str:
        """A blank or another white space, or nothing."""

    def written(self, piece: str) -> str:
        """How a piece is written."""
        return piece


class EnglishSpacing(Spacing):
    """As a person writes English of which a tokenised corpus has been made."""

    def between(self, left: str, right: str) -> str:
        """A blank, but where a mark belongs to its neighbour."""
        is_attached = (
            _ATTACHED_TO_THE_LEFT.fullmatch(right)
            or _ATTACHED_TO_THE_RIGHT.fullmatch(left)
            or any(map(_ATTACHED_TO_BOTH.fullmatch, (left, right)))
        )
        return "" if is_attached else " "

    def written(self, piece: str) -> str:
        """The mark within `@-@`, and all else as it is."""
        both = _ATTACHED_TO_BOTH.fullmatch(piece)
        return both[1] or piece if both else piece


class LearntSpacing(Spacing):
    """As in a training text: what stood most often between two marks, or a mark and any word or number."""

    def __init__(self, rows: Any) -> None:
        """Take the rows that `SpacingCounter.rows` has made. Raises DataError if they are none."""
        self._between: dict[tuple[str, str], str] = {}
        after, before = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        try:
            for left, right, gap, count in rows:
                if gap and (gap == "\n" or not gap.isspace() or len(gap) > 1):
                    raise ValueError(f"{gap!r} is no gap")
                self._between[left, right] = gap
                after[left, gap] += count * (left not in _KINDS)
                before[right, gap] += count * (right not in _KINDS)
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"tokenizer.json: spacing: {error}. Restore the file from its run.") from None
        # Of the gaps of a role the most frequent one is the last.
        self._after, self._before = (
            {role: gap for (role, gap), count in reversed(counts.most_common()) if count} for counts in (after, before)
        )

    def between(self, left: str, right: str) -> str:
        """What stood there; where the two never met, what stood beside a mark."""
        left, right = _kind(left), _kind(right)
        is_attached = "" in (self._after.get(left), self._before.get(right))
        return self._between.get((left, right), "" if is_attached else " ")


class SpacingCounter:
    """Counts what stands between the words and marks of a text."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, str, str]]()
        self._n_chars = 0

    def read(self, text: str, words: Sequence[tuple[str, tuple[int, int]]]) -> None:
        """Count on, in a text that is cut into words at these places, unless enough has been counted."""
        if self._n_chars > COUNTED_CHARS or not words:
            return
        self._n_chars += len(text)
        roles = Roles()
        left = _kind(roles.next(words[0][0]))
        for (_, (_, end)), (word, (start, _)) in pairwise(words):
            gap = text[end:start]
            if "\n" in gap:
                roles = Roles()
                left = _kind(roles.next(word))
                continue
            right = _kind(roles.next(word))
            self._counts[left, right, gap if len(gap) < 2 else " "] += 1
            left = right

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Of the most frequent pairs what stood most often between them, and how often."""
        most: dict[tuple[str, str], tuple[str, str, str, int]] = {}
        for (left, right, gap), count in self._counts.most_common():
            most.setdefault((left, right), (left, right, gap, count))
        return sorted(most.values(), key=lambda row: (-row[3], row))[:MOST_PAIRS]


def _kind(role: str) -> str:
    """What a role is counted as."""
    word, number = _KINDS
    return number if role[0].isdigit() else word if role[0].isalpha() else role


def prompt_roles(line: str) -> tuple[Roles, str]:
    """The roles so far of a line that is begun, and the last one, "" if that is white space."""
    roles, last = Roles(), ""
    for piece in _PIECES.findall(line):
        last = roles.next(piece)
    return roles, "" if line[-1:].isspace() else last
