"""Bytes to text: UTF-8, what a file declares or what one is told; and a guess at the rest, for a message."""

import codecs
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from io import IncrementalNewlineDecoder
from itertools import chain

from lstmlm.config.options import known_encoding
from lstmlm.corpus.reading.recognition import BEGINNING_BYTES, refuse_what_is_no_text, tell_once
from lstmlm.errors import BYTE_ORDER_MARKS, EncodingError, ShortTextError, as_command, counted, to_utf8

UTF8 = "utf-8"

NORMALIZATION = "utf8-lf-v1"
"""Name and version of what is done to a text: figures are comparable only where it was the same."""

_DECLARATION = re.compile(
    rb"""\A\s*(?:<\?xml[^>]*\sencoding\s*=\s*["']|<.*<meta[^>]*\scharset\s*=\s*["']?)([\w.:-]+)""",
    re.IGNORECASE | re.DOTALL,
)
_IN_FACT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "windows-1252",
    "iso8859-9": "windows-1254",
}
"""What programs write under another name, with characters beyond it, and browsers take that name for."""

_WIDE = ["utf-16le", "utf-16be", "utf-32le", "utf-32be"]
_OF_ONE_BYTE = (
    "windows-1252 windows-1250 windows-1251 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 cp874 "
    "koi8-r koi8-u ibm866 iso-8859-2 iso-8859-5 iso-8859-7 iso-8859-15 macintosh mac-cyrillic ibm850 ibm852"
).split()
_OF_MORE_BYTES = "cp932 euc-jp gb18030 big5 cp949".split()
"""Encodings that are guessed, by names that Python and iconv know."""

_NUL_SHARE = 1 / 3
"""UTF-16 of most languages has a NUL in every other byte."""

_MIXED_SHARE = 0.25
"""Of what is not ASCII; in another encoding about a tenth looks like UTF-8 by chance."""

_NEARLY_AS_CLEAN = 0.08
_SAMPLE_BYTES = 8192
_SHOWN_CHARS = 40


def normalized(text: str) -> str:
    """A text by the rules of `decoded`."""
    return IncrementalNewlineDecoder(None, translate=True).decode(text, final=True).removeprefix("\ufeff")


def decoded(name: str, chunks: Iterable[bytes], encoding: str = UTF8) -> Iterator[str]:
    r"""The text of bytes that may be cut anywhere, also within a character or between `\r` and `\n`; see `read_blocks`.

    Raises:
        DataError: these are no bytes of that encoding, or those of something that is no text, or none at all.
    """
    remaining, beginning = iter(chunks), b""
    while len(beginning) < BEGINNING_BYTES and (chunk := next(remaining, b"")):
        beginning += chunk
    refuse_what_is_no_text(name, beginning)
    encoding = encoding_read(name, beginning, encoding)
    decoder, line_ends = codecs.getincrementaldecoder(encoding)(), IncrementalNewlineDecoder(None, translate=True)
    offset, line, is_empty, is_ascii = 0, 1, True, True
    for chunk in chain([beginning] if beginning else (), remaining, [b""]):
        offset += len(chunk)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            content, place = error.object, error.start
            line += line_ends.decode(content[:place].decode(error.encoding, "ignore"), final=True).count("\n")
            where = f"byte 0x{content[place]:02X} at offset {offset - len(content) + place}, line {line}"
            if error.reason == "unexpected end of data" and (not is_ascii or len(content) - place > 1):
                n_bytes = counted(len(content) - place, "byte")
                advice = f"It ends within a character: get the whole file, or remove its last {n_bytes}."
            else:
                advice = _advice(name, content, place, line, encoding, is_mixed=not is_ascii)
            raise EncodingError(f"{name}: not {encoding.upper()} ({where}). {advice}") from None
        except UnicodeError as error:  # such as of UTF-16 without the mark that says in which order its bytes are
            raise EncodingError(f"{name}: not {encoding.upper()} ({error}). {_guess(name, chunk, 0)}") from None
        text = line_ends.decode(text, final=not chunk)
        if is_empty:
            text = text.removeprefix("\ufeff")
        if text:
            line += text.count("\n")
            is_empty, is_ascii = False, is_ascii and text.isascii()
            yield text
    if is_empty:
        raise ShortTextError(f"{name}: is empty. Put text into it, a sentence or paragraph a line.")


def encoding_read(name: str, beginning: bytes, encoding: str) -> str:
    """How a file that begins so is read: in place of UTF-8 as it says itself, unless it is UTF-8 all the same."""
    if codecs.lookup(encoding).name != UTF8:
        return encoding
    for mark, encoding in BYTE_ORDER_MARKS:
        if beginning.startswith(mark):
            tell_once(logging.INFO, f"{name}: is read as {encoding}, as its byte-order mark says.")
            return encoding
    if beginning.count(0) > len(beginning) * _NUL_SHARE:
        raise EncodingError(f"{name}: not UTF-8 (over a third of its bytes are NUL). {_guess(name, beginning, 0)}")
    is_utf8 = not beginning.isascii() and _is_utf8(beginning, is_cut=True)
    found = None if is_utf8 else _DECLARATION.match(beginning[:BEGINNING_BYTES])
    try:
        declared = codecs.lookup(known_encoding(found[1].decode())).name if found else UTF8
    except ValueError:
        return UTF8
    if declared == "ascii" or declared.startswith("utf"):
        return UTF8
    encoding = _IN_FACT.get(declared, declared)
    tell_once(logging.INFO, f"{name}: is read as {encoding}, as its first lines say.")
    return encoding


def _advice(name: str, content: bytes, place: int, line: int, encoding: str, *, is_mixed: bool) -> str:
    """What to do about bytes of which those at `place` cannot be decoded; `is_mixed`: others before them are UTF-8."""
    if encoding != UTF8:
        return _guess(name, content, place)
    foreign = [text for text in content.split(b"\n") if not text.isascii()]
    n_utf8 = sum(_is_utf8(text) for text in foreign)
    characters = [char for char in foreign[0].decode(UTF8, "surrogateescape") if not char.isascii()]
    n_bad = sum("\udc80" <= char <= "\udcff" for char in characters)
    if is_mixed or n_utf8 > len(foreign) * _MIXED_SHARE or n_bad < len(characters) / 2:
        return f"Other characters are UTF-8, so that two encodings are mixed: mend line {line}."
    return _guess(name, content, place)


def _is_utf8(content: bytes, *, is_cut: bool = False) -> bool:
    try:
        codecs.getincrementaldecoder(UTF8)().decode(content, final=not is_cut)
    except UnicodeDecodeError:
        return False
    return True


def _guess(name: str, content: bytes, place: int) -> str:
    """What to do about bytes that cannot be decoded at `place`, with a guess at what they are."""
    is_wide = b"\0" in content
    start = 0 if is_wide else content.rfind(b"\n", 0, place) + 1
    encoding = _likeliest(
        content[start : start + _SAMPLE_BYTES], _WIDE if is_wide else [*_OF_ONE_BYTE, *_OF_MORE_BYTES]
    )
    if encoding is None:
        command = "" if name == "standard input" else f": {as_command(['file', '-zi', name])}"
        doubt = "It may be no text at all" if is_wide else "What it is cannot be told"
        return f"{doubt}. Ask the program that wrote it, or, which guesses too{command}"
    before = content[start:place].decode(encoding, "replace")
    shown = content[start : place + _SAMPLE_BYTES].decode(encoding, "replace")[
        max(0, len(before) - _SHOWN_CHARS // 2) :
    ]
    shown = shown.lstrip("\ufeff").split("\n", maxsplit=1)[0][:_SHOWN_CHARS]
    return (
        f"It may be {encoding}, which reads {shown!r}. If that is right, give data.encoding or --encoding {encoding}, "
        f"or, where other files are UTF-8, convert it: {to_utf8(name, encoding)}"
    )


def _likeliest(sample: bytes, candidates: Sequence[str]) -> str | None:
    """The encoding that a sample is likeliest in; None where it looks like none of them."""
    from charset_normalizer import from_bytes

    # The sample may end within a character of two bytes.
    cuts = [sample, sample[:-1]] if len(sample) == _SAMPLE_BYTES else [sample]
    names = {codecs.lookup(name).name: name for name in candidates}
    found = [match for cut in cuts for match in from_bytes(cut, cp_isolation=list(names), enable_fallback=False)]
    if not found:
        return None
    best = min(found, key=lambda match: match.chaos)
    is_of_one_byte = names[codecs.lookup(best.encoding).name] in _OF_ONE_BYTE
    # Alphabets of Europe differ in few letters: what reads like a language, rather than what has no odd ones.
    alike = [
        match
        for match in found
        if match.chaos <= best.chaos + _NEARLY_AS_CLEAN
        and (names[codecs.lookup(match.encoding).name] in _OF_ONE_BYTE) == is_of_one_byte
    ]
    # A match stands for all encodings that read the same; of equals, the first candidate is taken.
    merits = {
        codecs.lookup(name).name: match.coherence + _share_of_an_alphabet(str(match))
        for match in alike
        for name in match.could_be_from_charset
    }
    clean = [name for name in candidates if codecs.lookup(name).name in merits]
    return max(clean, key=lambda name: merits[codecs.lookup(name).name])


def _share_of_an_alphabet(text: str) -> float:
    """The share of the letters beyond ASCII that are among the frequent ones of one language."""
    from charset_normalizer.constant import FREQUENCIES

    letters = [letter for letter in text.lower() if letter.isalpha() and not letter.isascii()]
    return max(sum(letter in frequent for letter in letters) for frequent in FREQUENCIES.values()) / max(
        1, len(letters)
    )
