"""What the first lines of a text are beside lines of text: broken where a page ended, marked up, or in columns."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lstmlm.corpus.reading.tables import DELIMITERS, find_delimiter, first_rows

_FEWEST_LINES = 20

_MARKUP = (
    (r"\s*\d\d:\d\d:\d\d[.,]\d{3} --> ", 0.1, "subtitles, whose numbers and times become words. Keep the text alone."),
    (
        r".*(</[A-Za-z][\w:-]*>|<[A-Za-z][\w:-]*( [^<>]*)?/?>$)",
        0.2,
        "HTML or XML, whose tags become words. Take the text out.",
    ),
    (r".*(\[\[|\{\{|'''|<ref)|==+[^=]+==+$", 0.2, "wiki markup, which becomes words. Take the text out."),
)
"""What lines of a kind look like, how many of them are enough, and what they are."""

_SHARE_OF_SENTENCES = 0.1
_SHARE_INDENTED = 0.2
_SHARE_FILLED = 0.7
_WIDTHS = range(40, 121)
_ENDS_OF_SENTENCES = tuple(".!?:;…\"'”’»)।。؟")


def describe(head: Sequence[str]) -> Iterator[str]:
    """What the first lines of a text are beside text, each with what to do; nothing where they are text."""
    lines = [line for line in head if line.strip()]
    if len(lines) < _FEWEST_LINES:
        return
    for pattern, share, what in _MARKUP:
        if sum(map(bool, map(re.compile(pattern).match, lines))) >= share * len(lines):
            yield f"looks like {what}"
            return
    content = "\n".join(lines)
    delimiter = find_delimiter(content)
    if delimiter is None:
        return
    rows = first_rows(content, delimiter, keeps_blanks=True)
    # After a comma of a sentence comes a blank, or a quote that closes.
    if sum(any(cell[:1] in (" ", *"”’»") for cell in cells[1:]) for cells in rows) < _SHARE_OF_SENTENCES * len(rows):
        yield f"has {len(rows[0])} columns with {DELIMITERS[delimiter]} between them. Keep that of the text."


def is_indented(head: Sequence[str]) -> bool:
    """Whether many of the first lines begin with white space, as those of programs do."""
    lines = [line for line in head if line.strip()]
    return sum(line.startswith(("  ", "\t")) for line in lines) > _SHARE_INDENTED * len(lines)


def wrapped_width(head: Sequence[str]) -> int | None:
    """The width of the page where the first lines end in the middle of sentences, because the next word had no room."""
    inner = [(line.rstrip(), after.split()[0]) for line, after in pairwise(head) if line.strip() and after.strip()]
    if len(inner) < _FEWEST_LINES or sum(line.count(" ") for line, _ in inner) < 3 * len(inner):
        return None
    width = sorted(len(line) for line, _ in inner)[len(inner) * 19 // 20]
    n_filled = sum(len(line) + 1 + len(word) > width for line, word in inner)
    n_open = sum(not line.endswith(_ENDS_OF_SENTENCES) for line, _ in inner)
    is_wrapped = width in _WIDTHS and min(n_filled, n_open) > _SHARE_FILLED * len(inner)
    return width if is_wrapped else None
