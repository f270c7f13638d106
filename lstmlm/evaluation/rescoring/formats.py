"""Formats of n-best lists, what a recogniser may have heard: those of SRILM and Kaldi, and JSON lines.

Here every score is a natural logarithm, the larger the better; what the files hold is converted.

- `srilm`: a file an utterance, named like it; a hypothesis a line, `ascore lscore nwords word…` in logarithms to base
  10, or after the header `NBestList1.0` `(score) word…` in bytelogs (nbest-format(5)). Written in the first of these
  forms as `UTTERANCE.score`, as SRILM's own rescoring does.
- `kaldi`: `UTTERANCE-N word…`; acoustic costs have a file of their own. Written as `UTTERANCE-N nats`, as Kaldi's
  scripts expect it of a language model.
- `jsonl`: an object a line with `utterance` or `id`, `text` or `hypothesis`, and `acoustic_score` or `score`, a natural
  logarithm. Written with whatever else it holds and what was found out.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lstmlm.corpus.reading.json_lines import parse_object
from lstmlm.corpus.reading.text_files import Line
from lstmlm.errors import as_command
from lstmlm.files import make_directory, write_atomically

LN_10 = math.log(10)

NATS_PER_BYTELOG = 1024 / 10000.5
"""A bytelog is a logarithm to base 1.0001, divided by 1024; SRILM takes 10000.5 for 1 / ln 1.0001."""

SHOWN_CHARS = 60
"""A message quotes this much of a line."""

_SRILM_SUFFIX = re.compile(r"(\.score|\.nbest)?(\.gz)?$")
_SENTENCE_MARKS = {"<s>", "</s>"}
_KALDI_ID = re.compile(r"(.+)-\d+")


@dataclass(frozen=True)
class Hypothesis:
    """One guess at what was said in an utterance."""

    utterance: str
    text: str
    """Words with one space between them."""
    acoustic_score: float
    """Log-likelihood of the sound given the words (nats); 0 where the list has none."""
    line: Line


@dataclass(frozen=True)
class ScoredHypothesis:
    """A hypothesis and what a language model says of it."""

    hypothesis: Hypothesis
    lm_nats: float
    """Negative log-probability of the words and the end of the line."""
    n_tokens: int
    """The end of the line included."""
    n_unk: int
    length: int
    """Words, or characters where errors are counted in these."""
    total: float
    """What decides between the hypotheses of an utterance; the largest wins."""


@dataclass(frozen=True)
class NBestFormat:
    """How a file is recognised, a line read into a name that no other has and a hypothesis, and lists written."""

    begins_with: Callable[[str], bool]
    """Whether a first line looks like one of this format."""
    parse: Callable[[Line], tuple[str, Hypothesis] | None]
    """None: the line is a header."""
    write: Callable[[Path, Sequence[Sequence[ScoredHypothesis]]], None]


def _is_srilm(first_line: str) -> bool:
    try:
        float(first_line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return first_line.startswith(("NBestList", "("))
    return True


def _parse_srilm(line: Line) -> tuple[str, Hypothesis] | None:
    if line.text.startswith("NBestList1.0"):
        return None
    if line.text.startswith("NBestList2.0") or " ( st: " in line.text:
        # The script reads no compressed file, but standard input.
        reading = as_command(["gzip", "-dcf", str(line.file)])
        raise line.error(f"format 2 has times between the words. Convert it: {reading} | nbest2-to-nbest1 > nbest1.txt")
    fields = line.text.split()
    try:
        if line.text.startswith("("):
            score, words = finite(fields[0].strip("()")) * NATS_PER_BYTELOG, fields[1:]
        else:
            acoustic_score, _lscore, _nwords = map(float, fields[:3])
            score, words = finite(acoustic_score) * LN_10, fields[3:]
    except ValueError:
        raise line.error(
            f"no scores, got {quoted(line)}. A line reads: ascore lscore nwords word word; "
            "after NBestList1.0: (score) word word."
        ) from None
    utterance = _SRILM_SUFFIX.sub("", line.file.name)
    text = " ".join(word for word in words if word not in _SENTENCE_MARKS)
    return f"{utterance}:{line.number}", Hypothesis(utterance, text, score, line)


def _write_srilm(folder: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    make_directory(folder)
    for scored_list in lists:
        lines = []
        for scored in scored_list:
            words = scored.hypothesis.text.split()
            scores = f"{scored.hypothesis.acoustic_score / LN_10:.15g} {-scored.lm_nats / LN_10:.8g}"
            lines.append(" ".join([scores, str(len(words)), *words]))
        _write_lines(folder / f"{scored_list[0].hypothesis.utterance}.score", lines)


def _parse_kaldi(line: Line) -> tuple[str, Hypothesis]:
    name, *words = line.text.split() or [""]
    match = _KALDI_ID.fullmatch(name)
    if not match:
        raise line.error(f"no hypothesis id, got {quoted(line)}. A line reads: UTTERANCE-N word word.")
    return name, Hypothesis(match[1], " ".join(words), 0.0, line)


def _write_kaldi(file: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    every = chain.from_iterable(lists)
    _write_lines(file, [f"{scored.hypothesis.line.text.split()[0]} {scored.lm_nats:.8g}" for scored in every])


def _parse_jsonl(line: Line) -> tuple[str, Hypothesis]:
    fields = _object_of(line)
    utterance = str(_field(line, fields, "utterance", "id"))
    text = _field(line, fields, "text", "hypothesis")
    if not isinstance(text, str):
        raise line.error(f"text: expected a string, got {text!r}. Put it in quotes.")
    score = _field(line, fields, "acoustic_score", "score")
    if type(score) not in (int, float) or not abs(score) <= sys.float_info.max:
        raise line.error(f"score: expected a finite number, got {score!r}. Give a logarithm.")
    return f"{line.file}:{line.number}", Hypothesis(utterance, " ".join(text.split()), float(score), line)


def _object_of(line: Line) -> dict[str, Any]:
    try:
        return parse_object(line.text)
    except ValueError:
        raise line.error(f"not a JSON object, got {quoted(line)}. Write one a line.") from None


def _field(line: Line, fields: Mapping[str, Any], name: str, synonym: str) -> Any:
    value = fields.get(name, fields.get(synonym))
    if value is None:
        raise line.error(f"no {name}. Give it as {name!r} or {synonym!r}.")
    return value


def _write_jsonl(file: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    lines = []
    for scored in chain.from_iterable(lists):
        found = {name: getattr(scored, name) for name in ("lm_nats", "n_tokens", "n_unk", "total")}
        lines.append(json.dumps(_object_of(scored.hypothesis.line) | found, ensure_ascii=False))
    _write_lines(file, lines)


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    write_atomically(file, "".join(f"{line}\n" for line in lines).encode())


def finite(number: str | float) -> float:
    """Return a number that is not infinite; anything else is a `ValueError`."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError
    return value


def quoted(line: Line) -> str:
    """Return the beginning of a line as messages quote it."""
    return repr(line.text if len(line.text) <= SHOWN_CHARS else line.text[:SHOWN_CHARS] + "…")


FORMATS: Mapping[str, NBestFormat] = {
    "srilm": NBestFormat(_is_srilm, _parse_srilm, _write_srilm),
    "jsonl": NBestFormat(lambda first_line: first_line.startswith("{"), _parse_jsonl, _write_jsonl),
    "kaldi": NBestFormat(lambda _: True, _parse_kaldi, _write_kaldi),
}
"""In the order in which they are looked for in a file."""
