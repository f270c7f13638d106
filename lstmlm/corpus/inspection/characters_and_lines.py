"""What is looked for in a text while it is read once: its characters, its lines, its words."""

import re
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lstmlm.corpus.inspection.repetition import DigestSample, TextDigest
from lstmlm.corpus.inspection.word_counts import WordCounts
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.reading.text_files import line_pieces, raw_chunks

WORDS_OF_A_LONG_LINE = 8
"""A shorter line may well occur twice by chance."""

_SIGNS_OF_MOJIBAKE = "ÂÃÐÑâĂÄĹ"
_MOJIBAKE = re.compile(
    "[ÂÃÐÑ][\u0080-\u00ba\u00bc-\u00bf]|â[€\u0080]"
    "|[ĂĹ][\u0080-\u009f†‡‰™¤¦§¨©¬\u00ad®°±˛´µ¶¸ˇ˘˝łľźżĽŁ]|Ă[ĄąŚśŠšŤťŹŽž]|Ĺ[ąśšťžş€‚„…‹›‘’“”•–—]|Ä[\u0080-\u009f†‡‰™±Ľ]"
)
"""UTF-8 that was once read as Latin-1 or Latin-2, or as what Windows has in their place: é becomes Ã© or Ă©, ’ becomes
â€™. A guillemet may well follow a capital, and so may in Romanian, German or Slovak much of what Latin-2 has.
"""

_ASCII_CONTROLS = bytes({*range(32), 127} - set(b"\t\n"))
_OTHER_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")

_MARKS = ",;:!?"
"""Not the full stop, which belongs to abbreviations."""


@dataclass
class Characters:
    """Characters that should make one look twice."""

    n_replacement: int = 0
    """U+FFFD, which stands where something could not be decoded."""
    n_mojibake: int = 0
    n_control: int = 0
    n_nul: int = 0
    n_lines_not_composed: int = 0
    """Lines that are not in Unicode's composed form, NFC."""

    def read(self, block: str) -> None:
        """Read on."""
        content = block.encode()
        self.n_control += len(content) - len(content.translate(None, _ASCII_CONTROLS))
        self.n_nul += content.count(0)
        if block.isascii():
            return
        self.n_control += len(_OTHER_CONTROLS.findall(content))
        self.n_replacement += block.count("\ufffd")
        if any(sign in block for sign in _SIGNS_OF_MOJIBAKE):
            self.n_mojibake += len(_MOJIBAKE.findall(block))
        if not unicodedata.is_normalized("NFC", block):
            self.n_lines_not_composed += sum(not unicodedata.is_normalized("NFC", line) for line in block.split("\n"))


@dataclass
class Marks:
    """Whether punctuation marks stand alone, as in text that is tokenised, or at their words."""

    n_detached: int = 0
    n_attached: int = 0

    def read(self, block: str) -> None:
        """Read on."""
        n_detached = sum(block.count(f" {mark} ") for mark in _MARKS)
        self.n_detached += n_detached
        self.n_attached += sum(block.count(f"{mark} ") for mark in _MARKS) - n_detached


@dataclass
class Lines:
    """The lines of a text, and its paragraphs: lines between blank ones."""

    n_lines: int = 0
    n_blank: int = 0
    longest_chars: int = 0
    longest_line: int = 0
    """Its number, from 1."""
    lines: DigestSample = field(default_factory=DigestSample)
    """Lines that are not blank."""
    long_lines: DigestSample = field(default_factory=DigestSample)
    """Lines of `WORDS_OF_A_LONG_LINE` words or more."""
    paragraphs: DigestSample = field(default_factory=DigestSample)
    """Paragraphs of two lines or more."""

    def __post_init__(self) -> None:
        self._begin_line()
        self._begin_paragraph()

    def read(self, piece: str, n_words: int, is_end: bool) -> None:
        """Read a piece of a line; see `line_pieces`."""
        self._n_chars += len(piece)
        self._n_words += n_words
        self._line.read(piece)
        self._paragraph.read(piece)
        if is_end:
            self._end_line()

    def end(self) -> None:
        """Close the last paragraph."""
        if self._n_paragraph_lines > 1:
            self.paragraphs.add(self._paragraph.value())
        self._begin_paragraph()

    def _end_line(self) -> None:
        self.n_lines += 1
        if self._n_chars > self.longest_chars:
            self.longest_chars, self.longest_line = self._n_chars, self.n_lines
        if self._n_words == 0:
            self.n_blank += 1
            self.end()
        else:
            digest = self._line.value()
            self.lines.add(digest)
            if self._n_words >= WORDS_OF_A_LONG_LINE:
                self.long_lines.add(digest)
            self._paragraph.read("\n")
            self._n_paragraph_lines += 1
        self._begin_line()

    def _begin_line(self) -> None:
        self._line = TextDigest()
        self._n_chars = self._n_words = 0

    def _begin_paragraph(self) -> None:
        self._paragraph = TextDigest()
        self._n_paragraph_lines = 0


@dataclass
class Observation:
    """All that was seen of a text."""

    name: str
    characters: Characters = field(default_factory=Characters)
    marks: Marks = field(default_factory=Marks)
    lines: Lines = field(default_factory=Lines)
    words: WordCounts = field(default_factory=WordCounts)
    whole: TextDigest = field(default_factory=TextDigest)


def observe(text: Text) -> Observation:
    """Read a text once.

    Raises:
        DataError: it cannot be read.
    """
    seen = Observation(text.name)

    def blocks() -> Iterator[str]:
        for block in text.blocks():
            seen.whole.read(block)
            seen.characters.read(block)
            seen.marks.read(block)
            yield block

    for piece, is_end in line_pieces(blocks()):
        words = piece.split()
        seen.words.read(words)
        seen.lines.read(piece, len(words), is_end)
    seen.lines.end()
    return seen


class Dropped(NamedTuple):
    """What the rules of reading do away with in files: byte-order marks and other line ends."""

    n_byte_order_marks: int
    n_carriage_returns: int


def dropped_from(files: Iterable[Path]) -> Dropped:
    """Read files once, as they are.

    Raises:
        DataError: one cannot be read.
    """
    n_marks = n_returns = 0
    for file in files:
        for place, raw in enumerate(raw_chunks(file)):
            n_marks += place == 0 and raw.startswith(BOM_UTF8)
            n_returns += raw.count(b"\r")
    return Dropped(n_marks, n_returns)


def line_of_digest(text: Text, digest: int) -> str:
    """The line that has a digest; "" for one in several pieces."""
    for piece, is_end in line_pieces(text.blocks()):
        line = TextDigest()
        line.read(piece)
        if is_end and line.value() == digest:
            return piece
    return ""
