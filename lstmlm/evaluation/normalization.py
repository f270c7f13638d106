"""Spelling conventions of corpora: plain sentences written as a model has learnt to read them.

A corpus that was cut into tokens before it was published has conventions that its own text does not explain. A model of
Penn Treebank, in Mikolov's version, knows `had n't`, no capitals and no punctuation marks; one of WikiText knows
`hadn 't`, `Richard .` and `ex @-@ wife`. Either takes most words of a plain sentence for unknown unless these are
written its way.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from lstmlm.corpus.tokenizers import UNK, Tokenizer
from lstmlm.errors import ConfigError, unknown

Normalization = Callable[[str], str]
"""Rewrites a part of a line that begins and ends between words; a text that follows the convention stays as it is."""

_ABBREVIATION = (
    r"\b(?:(?:[a-z]\.)+|(?:mrs?|ms|dr|st|jr|sr|prof|gov|sen|rep|gen|lt|col|vs|inc|corp|co|ltd|bros)\."
    r"|(?:messrs|rev|adm|sens|ariz|calif|colo|conn|fla|kan|ky|mich|minn|neb|nev|okla|tenn|wis)\."
    r"|(?:jan|feb|aug|sept|oct|nov|dec)\.)"
)
"""Keeps its period; any other one ends a sentence. What is a word too, as Ill. and Mass., is none of them."""

_CLITIC = r"'(?:s|re|ve|ll|m|d)\b"

_STRAIGHT = str.maketrans("’‘“”", "''\"\"")

_PTB_NUMBER = r"(?-i:N)|\d+(?:[.,/]\d+)*"
_PTB_WORD = rf"\bcan(?=not\b)|(?<=\bcan)not\b|\w+?(?=n't\b)|n't\b|{_CLITIC}|\w+(?:(?!{_CLITIC})['&-]\w+)*"
_PTB_PIECE = re.compile(
    rf"{UNK}|{_ABBREVIATION}|(?:{_PTB_NUMBER})(?![\w-])|{_PTB_WORD}|(?<=s)'(?!\w)|(?<!\S)'(?!\S)|[$&#%]", re.IGNORECASE
)

_WIKITEXT_JOINT = re.compile(r"(?<=\w)-(?=\w)|(?<=\d)[.,](?=\d)")
_WIKITEXT_PIECE = re.compile(
    rf"{UNK}|@[-.,]@|{_ABBREVIATION}|'t\b|{_CLITIC}|(?<=\w)'\w+|\w+|\.{{2,}}|[^\w\s]", re.IGNORECASE
)


def as_penn_treebank(text: str) -> str:
    """Write `text` as Mikolov's Penn Treebank: lower case, `n't`, `'s`, `not` apart, N for numbers and %, no marks."""
    pieces = _PTB_PIECE.findall(_straight(text))
    return " ".join("N" if re.fullmatch(rf"{_PTB_NUMBER}|%", piece) else piece.lower() for piece in pieces)


def as_wikitext(text: str) -> str:
    """Write `text` as WikiText: marks apart, `'t` and `'s` too, `@-@` within words, `@,@` and `@.@` within numbers."""
    return " ".join(_WIKITEXT_PIECE.findall(_WIKITEXT_JOINT.sub(r" @\g<0>@ ", _straight(text))))


def _straight(text: str) -> str:
    return text.translate(_STRAIGHT)


NORMALIZATIONS: Mapping[str, Normalization] = {
    "lowercase": str.lower,
    "ptb": as_penn_treebank,
    "wikitext": as_wikitext,
}


def find_normalization(name: str | None) -> Normalization:
    """Return the normalization of that name; without one, that which leaves a text as it is.

    Raises:
        ConfigError: there is none of that name.
    """
    if name is None:
        return str
    if name not in NORMALIZATIONS:
        raise ConfigError(f"--normalize: {unknown('convention', name, NORMALIZATIONS)}")
    return NORMALIZATIONS[name]


NEARLY_NOTHING = 0.05
"""A model that knows all words of at most this share of sentences may know them in another spelling."""

_ASKED, _CLEARLY_LESS = 1000, 0.8

_SIGNS = {"lowercase": "", "ptb": "N n't", "wikitext": "@-@ @,@"}
"""What a model knows that has learnt to read a convention."""


def advice(texts: Sequence[str], tokenizer: Tokenizer) -> str | None:
    """Return what to say where a model knows all words of hardly any text, and more words in a corpus' spelling."""
    asked = texts[:_ASKED]

    def n_unknown(normalize: Normalization) -> list[int]:
        return [len(tokenizer.unknown_pieces(normalize(text))) for text in asked]

    plain = n_unknown(str)
    if plain.count(0) > NEARLY_NOTHING * len(asked):
        return None
    likely = [name for name, signs in _SIGNS.items() if not tokenizer.unknown_pieces(signs)]
    found = {name: sum(n_unknown(NORMALIZATIONS[name])) for name in likely}
    name = min(found, key=lambda name: found[name])
    if found[name] > _CLEARLY_LESS * sum(plain):
        return None
    counts = f"{sum(plain):,}; with --normalize {name}: {found[name]:,}"
    return f"hardly a sentence has known words alone. Unknown words: {counts}"
