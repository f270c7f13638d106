"""What a tokenizer.json of another tool may ask the library for: components whose work is bounded by the text.

A run directory may bring a file along from anywhere. The library would run any regular expression in it, some of which
never end, and any chain of replacements, each of which may double the text. So the kinds of components are listed, and
of regular expressions those that well-known tokenizers have.
"""

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import tokenizers as library

from lstmlm.errors import DataError

_GPT2_PATTERNS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
)
_GPT4_PATTERNS = tuple(  # also of Llama 3, and with single digits of Qwen 2
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in ("{1,3}", "")
)
_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_GPT4O_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTION + "|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTION + "|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

EXTRA_SPACES = " {2,}"
OUTER_SPACES = "^ | $"
WORD_OR_MARK_0_1 = r"<unk>|<eos>|\w+(?:['’.\-]\w+)*|[^\w\s]"
_IN_WORDS = r"[\w\x{AD}\x{200C}\x{200D}\x{2060}\x{FE00}-\x{FE0F}]*"
WORD_OR_MARK = rf"<unk>|<eos>|\w{_IN_WORDS}(?:['’.\-·״׳]\w{_IN_WORDS})*|(?![\w\s])\X"
"""`don't`, `os.path`, `3.11` and `well-known` stay whole, and so do words with joiners or soft hyphens in them; every
other mark is a piece of its own, with what Unicode says belongs to it, as in a flag or a family of emoji. In version
0.1 joiners were marks."""

_SIMPLE_PATTERNS = (EXTRA_SPACES, OUTER_SPACES, WORD_OR_MARK, WORD_OR_MARK_0_1, r"\s+", "[0-9]", ".")

PATTERNS = frozenset([*_GPT2_PATTERNS, *_GPT4_PATTERNS, _GPT4O_PATTERN, *_SIMPLE_PATTERNS])
"""Regular expressions that take time in proportion to the text."""

COMPONENTS: Mapping[str, frozenset[str]] = {
    section: frozenset(names.split())
    for section, names in {
        "model": "BPE Unigram WordLevel WordPiece",
        "normalizer": (
            "BertNormalizer ByteLevel Lowercase NFC NFD NFKC NFKD Nmt Precompiled Prepend Replace Strip StripAccents"
        ),
        "pre_tokenizer": (
            "BertPreTokenizer ByteLevel CharDelimiterSplit Digits Metaspace Punctuation Split UnicodeScripts "
            "Whitespace WhitespaceSplit"
        ),
        "decoder": "BPEDecoder ByteFallback ByteLevel Fuse Metaspace Replace Strip WordPiece",
    }.items()
}
"""What each section of a file may consist of, several in a row as a `Sequence`."""

REPEATED = frozenset({"Replace", "Split"})
"""Components that a section may have more than one of, up to `MOST_REPEATED`: others can make a text longer."""

MOST_REPEATED = 16

LINE_END_OF_WORDS = ("\n", " <eos> ")
"""The one replacement that makes a text longer: that of our own tokenizers of words."""

MOST_WORD_CHARS = 1000
"""WordPiece takes the square of a word's length; it reads a longer one as unknown."""


def require_known_components(content: Mapping[str, Any]) -> None:
    """Check what the library has understood. Raises DataError if it need not end, or is left to chance."""
    for section, allowed in COMPONENTS.items():
        components = list(components_of(content[section]))
        for component in components:
            kind = component["type"]
            if kind not in allowed:
                raise _refusal(f"{section} {kind!r}", f"Known are: {', '.join(sorted(allowed))}.")
            _require_bounded(section, component)
        for kind, n in Counter(component["type"] for component in components).items():
            if n > (MOST_REPEATED if kind in REPEATED else 1):
                raise _refusal(f"{n} times {section} {kind!r}", "Use a tokenizer that has it once.")


def component_types(content: Mapping[str, Any], section: str) -> set[str]:
    """The kinds of components in a section of a tokenizer."""
    return {component["type"] for component in components_of(content[section])}


def components_of(section: Any) -> Iterator[dict[str, Any]]:
    """The components of a section, those of sequences one by one."""
    if not isinstance(section, dict):
        return
    if section.get("type") != "Sequence":
        yield section
        return
    for value in section.values():
        if isinstance(value, list):
            for component in value:
                yield from components_of(component)


def _require_bounded(section: str, component: Mapping[str, Any]) -> None:
    kind = component["type"]
    pattern = component.get("pattern", {})
    if pattern == {"String": ""} and kind != "Split":  # which then cuts between all characters
        raise _refusal(f"{section} {kind!r} of nothing", "It must have a pattern.")
    if "Regex" in pattern and pattern["Regex"] not in PATTERNS:
        raise _refusal(f"the regular expression {pattern['Regex']!r}", _OF_PATTERNS)
    if kind == "Replace":
        replaced, content = pattern.get("String", " "), component["content"]
        if len(content) > len(replaced) and (replaced, content) != LINE_END_OF_WORDS:
            raise _refusal(f"{section} {kind!r} of {replaced!r} by {content!r}", "It must not make a text longer.")
    if len(component.get("prepend", "")) > 1:
        raise _refusal(f"{section} {kind!r} of {component['prepend']!r}", "It must be one character.")
    if component.get("dropout"):
        raise _refusal("dropout of merges", "Ids must not be left to chance: set it to null.")
    if component.get("max_input_chars_per_word", 0) > MOST_WORD_CHARS:
        raise _refusal(
            f"words of {component['max_input_chars_per_word']} characters", f"{MOST_WORD_CHARS} are the most."
        )


_OF_PATTERNS = (
    "Only well-known ones are run. Cut the text so beforehand, with a space between tokens, for the tokenizer word."
)


def _refusal(what: str, remedy: str) -> DataError:
    return DataError(f"tokenizer.json: asks for {what}. {remedy}")


def open_engine(json_text: str) -> library.Tokenizer:
    """The library's tokenizer of a file. Raises DataError if it is none, or would stop the program."""
    with suppress(ValueError, TypeError, RecursionError):  # of which the library says more
        _require_sound_charsmaps(json.loads(json_text))
    with as_tokenizer_errors():
        return library.Tokenizer.from_str(json_text)


@contextmanager
def as_tokenizer_errors() -> Iterator[None]:
    """Turn what the library raises into a DataError of the file; a panic of it is no `Exception`."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise DataError(f"tokenizer.json: not a tokenizer ({error}). Restore the file from its run.") from error
        raise


def _require_sound_charsmaps(content: Any) -> None:
    """Refuse a map of characters that leads out of itself, at which the library would stop the program.

    It is, after its length, a double array (Darts) and texts that end with NUL. What leads on in the array has bit 31
    clear, and an offset in bits 10 to 30, times 256 where bit 9 is set; the rest are places among the texts.
    """
    for component in components_of(content.get("normalizer") if isinstance(content, dict) else None):
        if component.get("type") != "Precompiled":
            continue
        charsmap = b64decode(component.get("precompiled_charsmap") or "")
        size = int.from_bytes(charsmap[:4], "little")
        texts = np.frombuffer(charsmap, dtype=np.uint8)[4 + size :]
        is_sound = size > 0 and size % 1024 == 0 and len(charsmap) > 4 + size and texts[-1] == 0
        if is_sound:
            units = np.frombuffer(charsmap, dtype="<u4", count=size // 4, offset=4)
            leads_on = units < 1 << 31
            reached = (np.arange(len(units)) ^ ((units >> 10) << ((units & 512) >> 6)))[leads_on] | 255
            places = units[~leads_on] & 0x7FFFFFFF
            is_sound = reached.max() < len(units) and places.max(initial=0) < len(texts)
            is_sound = is_sound and not ((texts[places] & 0xC0) == 0x80).any()
        if not is_sound:
            raise DataError(
                "tokenizer.json: its map of characters (precompiled_charsmap) is damaged. Get the file once more."
            )
