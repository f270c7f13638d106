"""What is looked for in a text while it is read once: its characters, its lines, its words."""

import re
import unicodedata
from codecs import BOM_UTF8, getincrementaldecoder
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from lstmlm.corpus.inspection.repetition import DigestSample, TextDigest
from lstmlm.corpus.inspection.word_counts import WordCounts
from lstmlm.corpus.reading.decoding import encoding_read
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.reading.text_files import line_pieces, name_of, raw_chunks
from lstmlm.corpus.reading.white_space import words_of

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

_UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffd]"
)
"""Control codes, and characters that nobody sees; joiners are left out, which words of many languages need."""

HEAD_LINES, HEAD_CHARS = 2000, 500
"""How many of the first lines are kept, and how much of each."""


@dataclass
class Observation:
    """All that was seen of a text."""

    name: str
    characters: Counter[str] = field(default_factory=Counter)
    """How often what should make one look twice was seen; see `count_characters`."""
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
    """Paragraphs, which are lines between blank ones, of two lines or more."""
    words: WordCounts = field(default_factory=WordCounts)
    head: list[str] = field(default_factory=list)
    """The first lines, or the beginnings of long ones."""
    whole: TextDigest = field(default_factory=TextDigest)


def observe(text: Text) -> Observation:
    """Read a text once. Raises DataError if it cannot be read."""
    seen = Observation(text.name)

    def blocks() -> Iterator[str]:
        for block in text.blocks():
            seen.whole.read(block)
            seen.characters.update(count_characters(block))
            yield block

    line, paragraph, begun = TextDigest(), TextDigest(), ""
    n_chars = n_words = n_paragraph_lines = 0
    for piece, is_end in line_pieces(blocks()):
        words = words_of(piece)
        seen.words.read(words)
        line.read(piece)
        paragraph.read(piece)
        begun = begun or piece[:HEAD_CHARS]
        n_chars += len(piece)
        n_words += len(words)
        if not is_end:
            continue
        seen.n_lines += 1
        if seen.n_lines <= HEAD_LINES:
            seen.head.append(begun)
        if n_chars > seen.longest_chars:
            seen.longest_chars, seen.longest_line = n_chars, seen.n_lines
        if n_words:
            seen.lines.add(line.value())
            if n_words >= WORDS_OF_A_LONG_LINE:
                seen.long_lines.add(line.value())
            paragraph.read("\n")
            n_paragraph_lines += 1
        else:
            seen.n_blank += 1
            if n_paragraph_lines > 1:
                seen.paragraphs.add(paragraph.value())
            paragraph, n_paragraph_lines = TextDigest(), 0
        line, begun, n_chars, n_words = TextDigest(), "", 0, 0
    if n_paragraph_lines > 1:
        seen.paragraphs.add(paragraph.value())
    return seen


def count_characters(block: str) -> Counter[str]:
    """How often what should make one look twice occurs.

    Returns:
        Counts of characters that nobody sees, one by one, and of U+FFFD, which stands for what could not be decoded; of
        `mojibake`; and of lines that are `not_composed`, as Unicode's NFC is.
    """
    found = Counter(_UNSEEN.findall(block))
    if block.isascii():
        return found
    if any(sign in block for sign in _SIGNS_OF_MOJIBAKE):
        found["mojibake"] = len(_MOJIBAKE.findall(block))
    if not unicodedata.is_normalized("NFC", block):
        found["not_composed"] = sum(not unicodedata.is_normalized("NFC", line) for line in block.split("\n"))
    return found


def count_dropped(files: Iterable[Path], encoding: str) -> tuple[int, int]:
    """Read files once, as they are; count what the rules of reading do away with: byte-order marks, carriage returns.

    `encoding` is how their characters are written, where the files do not say so themselves.

    Raises:
        DataError: one cannot be read.
    """
    n_marks = n_returns = 0
    for file in files:
        chunks = raw_chunks(file)
        beginning = next(chunks, b"")
        n_marks += beginning.startswith(BOM_UTF8)
        decoder = getincrementaldecoder(encoding_read(name_of(file), beginning, encoding))("replace")
        n_returns += sum(decoder.decode(chunk).count("\r") for chunk in chain([beginning], chunks))
    return n_marks, n_returns


def line_of_digest(text: Text, digest: int) -> str:
    """The line that has a digest; "" for one in several pieces."""
    for piece, is_end in line_pieces(text.blocks()):
        line = TextDigest()
        line.read(piece)
        if is_end and line.value() == digest:
            return piece
    return ""
