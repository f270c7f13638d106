"""Running English out of technical documentation: markup, code, tables and headings go, whole sentences stay."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_BULLET = re.compile(r"(?:[-*•+]|o(?= {2,})|\(?(?:\d+|[a-z])[.)])\s+(?=\S)")
_UNDERLINE = re.compile(r"([=\-~*^\"'#+.])\1{2,}$")
_NOT_PROSE = re.compile(r"^(?:>>>|\.\.|\||\+[-=]|[@:]\w|-\[|\[\d+\]|#)|::=|\S {3,}\S|<BLANKLINE>|^[=\-~*+]{3}")

# Applied in this order to one paragraph on one line.
_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[“”]", '"'),
        (r"[‘’]", "'"),
        (r":(?:\w+:)?\w+:`[~!]?([^`<]+?)(?:\s*<[^`>]*>)?`", r"\1"),  # :class:`name`, :ref:`text <target>`
        (r"`([^`<]+?)\s*<[^`>]*>`_{1,2}", r"\1"),  # `text <address>`_
        (r"``([^`]+)``", r"\1"),
        (r"`([^`']+)[`']_{0,2}", r"\1"),
        (r"\*\*([^*\s][^*]*)\*\*", r"\1"),
        (r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"\1"),
        (r" \[\d+\]_?", ""),  # footnote marks
        (r"(?<![\w'])'(\w[\w.\-]+)'(?!\w)", r"\1"),  # 'strict' and "strict" are names, as `strict` is
        (r"\"(\w[\w.\-]+(?:\(\))?)\"", r"\1"),
        (r"(?<![\w'])'([^'\s](?:[^'\"]{0,60}[^'\s])?)'(?![\w'])", r'"\1"'),
        (r"(?<=\w)\(\)", ""),  # close() is spoken "close"
        (r"(?<=\w) ?-{2,3} ?(?=\w)|\s-{1,3}\s|\s*[–—]\s*", " — "),
        (r"\s*(?:…|\.{4,})", "..."),
        (r"\s+", " "),
    )
)

_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|resp|approx|incl|Dr|Mr|Mrs|St|No|[A-Z])|\.\.)\.$")
_SENTENCE_END = re.compile(r"[.!?][\"')]*\s+(?=[\"'(]*[A-Z])")
_PLAIN_WORD = re.compile(r"(?:[A-Za-z]?[a-z]+(?:'[a-z]+)?(?:-[A-Za-z]?[a-z]+)*|[AI]|\d{1,4}(?:\.\d+)?|[A-Z]{2,5}s?|—)$")
_FOREIGN_MARK = re.compile(
    r"[=<>{}\[\]|\\@#$^~`*+&]|[^\x20-\x7e—]|://|XXX|\w\((?!e?s\))|\(\)|''|\"\"|' '|(?:^|\s)[.\-/:,;]\w|\w/\w*/"
)
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been but by can do does for from has have if in is it its may must no not of on or "
    "should that the their then there these this to was were when which will with you".split()
)


@dataclass
class _Block:
    """Consecutive lines at one indentation (columns); `hanging` while a list item may still set its own."""

    indent: int
    hanging: bool = False
    lines: list[str] = field(default_factory=list)


def paragraphs(text: str) -> Iterator[list[str]]:
    """The whole English sentences of each paragraph of a documentation text; paragraphs without any are left out."""
    for i, block in enumerate(_blocks(text)):
        if any(_NOT_PROSE.search(line) or _UNDERLINE.match(line) for line in block.lines):
            continue
        paragraph = _plain(block.lines)
        # The first line of a docstring is a sentence that is often left without its full stop.
        if i == 0 and paragraph[-1:].isalnum():
            paragraph += "."
        kept = [sentence for sentence in sentences(paragraph) if is_english(sentence)]
        if kept:
            yield kept


def _blocks(text: str) -> Iterator[_Block]:
    """Cut at blank lines, list items and changes of indentation; leave out what is indented below a `::`."""
    block: _Block | None = None
    literal_indent: int | None = None
    for line in [*text.expandtabs().split("\n"), ""]:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped and literal_indent is not None:
            if indent > literal_indent:
                continue
            literal_indent = None
        item = _BULLET.match(stripped)
        if block and stripped and not item and block.hanging and indent >= block.indent:
            block.indent, block.hanging = indent, False
        if block and (not stripped or item or indent != block.indent):
            if block.lines[-1].endswith("::"):
                literal_indent = block.indent
            yield block
            block = None
            if stripped and literal_indent is not None and indent > literal_indent:
                continue
        if stripped:
            block = block or _Block(indent, hanging=bool(item))
            block.lines.append(stripped[item.end() :] if item else stripped)


def _plain(lines: list[str]) -> str:
    """One line of several, without the markup; the words that it marks stay."""
    # No space where a compound was broken at its hyphen.
    paragraph = re.sub(r"(?<=[a-z]-)\n(?=[a-z])", "", "\n".join(lines)).replace("\n", " ")
    for pattern, replacement in _MARKUP:
        paragraph = pattern.sub(replacement, paragraph)
    return paragraph.strip()


def sentences(paragraph: str) -> Iterator[str]:
    """Cut a paragraph after its full stops, question and exclamation marks, but not after `e.g.` and initials."""
    start = 0
    for end in _SENTENCE_END.finditer(paragraph):
        if not _ABBREVIATION.search(paragraph, start, end.start() + 1):
            yield paragraph[start : end.end()].rstrip()
            start = end.end()
    yield paragraph[start:]


def is_english(sentence: str) -> bool:
    """Whether a sentence is whole, made mostly of ordinary words, and free of code."""
    if not re.match(r"[\"'(]*[A-Z]", sentence) or not re.search(r"[.!?][\"')]*$", sentence):
        return False
    if _FOREIGN_MARK.search(sentence) or sentence.count(":") > 1:
        return False
    if sentence.count("(") != sentence.count(")") or sentence.count('"') % 2:
        return False
    words = [word.strip(".,;:!?\"'()") for word in sentence.split()]
    if not 4 <= len(words) <= 80 or not _FUNCTION_WORDS.intersection(map(str.lower, words)):
        return False
    n_plain = sum(bool(_PLAIN_WORD.match(word)) for word in words)
    return n_plain >= 0.85 * len(words)
