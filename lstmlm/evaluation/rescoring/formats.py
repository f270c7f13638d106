"""Formats of n-best lists, what a recogniser may have heard: those of SRILM and Kaldi, and JSON lines.

Here every score is a natural logarithm, the larger the better; what the files hold is converted.

- `srilm`: a file an utterance, named like it; a hypothesis a line, `ascore lscore nwords word…` in logarithms to base
  10; after the header `NBestList1.0` `(score) word…` in bytelogs, and after `NBestList2.0` every word with times and
  scores of its own (nbest-format(5)). Written in the first of these forms as `UTTERANCE.score`.
- `kaldi`: `UTTERANCE-N word…`, N counted from 1; acoustic costs have a file of their own. Written as
  `UTTERANCE-N nats`, as Kaldi's scripts expect it of a language model.
- `jsonl`: an object a line with `utterance` or `id`, `text` or `hypothesis`, `acoustic_score` or `score`, a natural
  logarithm, and maybe `lm_score`; or as Vosk writes it, an utterance a line. Written with whatever else it holds and
  what was found out.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lstmlm.corpus.reading.compression import split_suffixes
from lstmlm.corpus.reading.json_lines import parse_object
from lstmlm.corpus.reading.recognition import RECORD_SUFFIXES
from lstmlm.corpus.reading.text_files import Line
from lstmlm.errors import OutputPathError, conversion, shown
from lstmlm.files import make_directory, write_lines
from lstmlm.metrics import finite

logger = logging.getLogger(__name__)

LN_10 = math.log(10)

NATS_PER_BYTELOG = 1024 / 10000.5
"""A bytelog is a logarithm to base 1.0001, divided by 1024; SRILM takes 10000.5 for 1 / ln 1.0001."""

_SRILM_SUFFIXES = (".score", ".nbest")
_HMM_STATE = re.compile(r"-\d$")
_FIELDS_OF_A_WORD = 11
_KALDI_ID = re.compile(r"(.+)-([1-9]\d*)")


@dataclass(frozen=True)
class Hypothesis:
    """One guess at what was said in an utterance."""

    utterance: str
    text: str
    """Words with one space between them."""
    acoustic_score: float
    """Log-likelihood of the sound given the words (nats); 0 where the list has none."""
    line: Line
    first_pass_score: float = 0.0
    """Log-probability of the words by the recogniser's own language model (nats); 0 where the list has none."""
    n_words: int | None = None
    """How many words the list says there are."""
    kept: str = ""
    """What its format writes back."""
    number: int | None = None
    """Which hypothesis of its utterance the list calls it, from 1; None where it does not say."""


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
    lm_score: float
    """Log-probability of the words by both language models, in the proportion of their weights (nats)."""


Parsed = Iterable[tuple[str, Hypothesis]]
"""Hypotheses, each with a name that no other has."""


@dataclass(frozen=True)
class NBestFormat:
    """How a file is recognised, a line read, which may hold none or many hypotheses, and lists written."""

    begins_with: Callable[[str], bool]
    """Whether a first line looks like one of this format."""
    parse: Callable[[Line], Parsed]
    write: Callable[[Path, Sequence[Sequence[ScoredHypothesis]]], None]


def _is_srilm(first_line: str) -> bool:
    try:
        float(first_line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return first_line.startswith(("NBestList", "("))
    return True


def _parse_srilm(line: Line) -> Parsed:
    if line.text.startswith("NBestList"):
        return []
    fields, n_words, first_pass_score = line.text.split(), None, 0.0
    try:
        if " ( st: " in line.text:
            words, scores = _words_with_times(fields[1:])
            acoustic_score, first_pass_score = (score * NATS_PER_BYTELOG for score in scores)
        elif line.text.startswith("("):
            acoustic_score, words = finite_number(fields[0].strip("()")) * NATS_PER_BYTELOG, fields[1:]
        else:
            acoustic_score, first_pass_score = (finite_number(field) * LN_10 for field in fields[:2])
            n_words, words = int(fields[2]), fields[3:]
    except (ValueError, IndexError):
        raise line.error(
            f"no scores, got {shown(line.text)}. A line reads: ascore lscore nwords word word; "
            "after NBestList1.0: (score) word word."
        ) from None
    utterance, text = _named_by(line.file, _SRILM_SUFFIXES), " ".join(words)
    hypothesis = Hypothesis(utterance, text, acoustic_score, line, first_pass_score, n_words, kept=text)
    return [(f"{utterance}:{line.number}", hypothesis)]


def _named_by(file: Path, suffixes: Collection[str]) -> str:
    """Return the name of a file without a suffix that says what it holds and one that says how it is compressed."""
    suffix, compression = split_suffixes(file)
    return file.name[: len(file.name) - len(compression) - (len(suffix) if suffix in suffixes else 0)]


def _words_with_times(fields: Sequence[str]) -> tuple[list[str], tuple[float, float]]:
    """Return the words of `NBestList2.0` and the sums of their acoustic and language model scores (bytelogs).

    A word reads `word ( st: start et: end g: score a: score )`. So do its phones and states, which follow it and begin
    before its end; some states are told only by their names (SRILM's NBest.cc).
    """
    words, acoustic_score, lm_score, end = [], 0.0, 0.0, -1.0
    for word, _, _, start, _, stop, _, lm, _, acoustic, _ in zip(*[iter(fields)] * _FIELDS_OF_A_WORD, strict=True):
        if float(start) > end and not _HMM_STATE.search(word):
            words.append(word)
            acoustic_score += finite_number(acoustic)
            lm_score += finite_number(lm)
            end = float(stop)
    return words, (acoustic_score, lm_score)


def _write_srilm(folder: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    make_directory(folder)
    for scored_list in lists:
        lines = []
        for scored in scored_list:
            hypothesis = scored.hypothesis
            n_words = len(hypothesis.text.split()) if hypothesis.n_words is None else hypothesis.n_words
            scores = f"{hypothesis.acoustic_score / LN_10:.15g} {scored.lm_score / LN_10:.8g}"
            lines.append(f"{scores} {n_words} {hypothesis.kept}".rstrip())
        write_lines(_srilm_file(folder, scored_list[0].hypothesis), lines)


def _srilm_file(folder: Path, hypothesis: Hypothesis) -> Path:
    return folder / f"{hypothesis.utterance}.score"


def require_apart(output: Path, list_format: str, lists: Iterable[Sequence[Hypothesis]]) -> None:
    """Refuse a file, or a folder for SRILM's lists, that would be written over what is read. Raises OutputPathError."""
    read = {file.resolve() for file in {of_one.line.file for hypotheses in lists for of_one in hypotheses}}
    is_folder = list_format == "srilm"
    for written in (_srilm_file(output, hypotheses[0]) for hypotheses in lists) if is_folder else [output]:
        if written.resolve() in read:
            raise OutputPathError(f"{written}: is what the command reads. Name another place to write.")


def _parse_kaldi(line: Line) -> Parsed:
    name, *words = line.text.split()
    match = _KALDI_ID.fullmatch(name)
    if not match:
        raise line.error(f"no hypothesis id, got {shown(line.text)}. A line reads: UTTERANCE-N word word, N from 1.")
    return [(name, Hypothesis(match[1], " ".join(words), 0.0, line, kept=name, number=int(match[2])))]


def _write_kaldi(file: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    every = list(chain.from_iterable(lists))
    if any(scored.total != -scored.lm_nats for scored in every):
        logger.info("%s: gets the nats of the words alone, without costs, weights and bonuses.", file)
    write_lines(file, [f"{scored.hypothesis.kept} {scored.lm_nats:.8g}" for scored in every])


def _parse_jsonl(line: Line) -> Parsed:
    record, place = object_of(line), f"{line.file}:{line.number}"
    if "alternatives" in record and not {"utterance", "id"} & record.keys():
        # Files that are called alike would have one utterance of both.
        place = record["utterance"] = f"{_named_by(line.file, RECORD_SUFFIXES)}-{line.number}"
    records = [record] if "alternatives" not in record else _records_of_vosk(line, record)
    return [(f"{place}:{number}", _hypothesis(line, one)) for number, one in enumerate(records, start=1)]


def _records_of_vosk(line: Line, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a record for each of the `alternatives`, of which `confidence` is a logarithm."""
    alternatives = record["alternatives"]
    if not isinstance(alternatives, list) or not all(isinstance(one, dict) for one in alternatives):
        raise line.error(
            f"alternatives: expected a list of objects, got {shown(alternatives)}. Write one a hypothesis."
        )
    named = {name: record[name] for name in ("utterance", "id") if name in record}
    return [{**named, "score": one.get("confidence"), **one} for one in alternatives]


def _hypothesis(line: Line, record: Mapping[str, Any]) -> Hypothesis:
    utterance, text = utterance_of(line, record), text_of(line, record)
    score, lm_score = _field(line, record, "acoustic_score", "score"), record.get("lm_score", 0)
    for name, number in {"score": score, "lm_score": lm_score}.items():
        if type(number) not in (int, float) or not abs(number) <= sys.float_info.max:
            advice = "Take it out of its quotes." if isinstance(number, str) else "Give a logarithm."
            raise line.error(f"{name}: expected a finite number, got {number!r}. {advice}")
    kept = json.dumps(record, ensure_ascii=False)
    return Hypothesis(utterance, text, float(score), line, float(lm_score), kept=kept)


def object_of(line: Line) -> dict[str, Any]:
    """Return the JSON object of a line. Raises DataError if it holds none."""
    try:
        return parse_object(line.text)
    except ValueError as error:
        raise line.error(str(error)) from None


def utterance_of(line: Line, record: Mapping[str, Any]) -> str:
    """Return which utterance an object is about. Raises DataError if it does not say so by a name or a whole number."""
    utterance = _field(line, record, "utterance", "id")
    if type(utterance) not in (str, int) or utterance == "":
        raise line.error(f"utterance: expected a name or a whole number, got {shown(utterance)}. Give it one.")
    return str(utterance)


def text_of(line: Line, record: Mapping[str, Any]) -> str:
    """Return the words of an object, with one space between them. Raises DataError if it has none as text."""
    text = _field(line, record, "text", "hypothesis")
    if not isinstance(text, str):
        raise line.error(f"text: expected a string, got {shown(text)}. Put it in quotes.")
    return " ".join(text.split())


def _field(line: Line, record: Mapping[str, Any], name: str, synonym: str) -> Any:
    value = record.get(name, record.get(synonym))
    if value is None:
        advice = f"Give it as {name!r} or {synonym!r}."
        if synonym == "score" and "confidence" in record:
            renamed = conversion(str(line.file), ["jq", "-c", ".score = .confidence"], ".jsonl")
            advice = f"If 'confidence' is a logarithm: {renamed}"
        raise line.error(f"no {name}. {advice}")
    return value


def _write_jsonl(file: Path, lists: Sequence[Sequence[ScoredHypothesis]]) -> None:
    lines = []
    for scored in chain.from_iterable(lists):
        found = {name: getattr(scored, name) for name in ("lm_nats", "n_tokens", "n_unk", "total")}
        lines.append(json.dumps(finite(json.loads(scored.hypothesis.kept) | found), ensure_ascii=False))
    write_lines(file, lines)


def finite_number(text: str) -> float:
    """Return a number that is not infinite; anything else is a `ValueError`."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


FORMATS: Mapping[str, NBestFormat] = {
    "srilm": NBestFormat(_is_srilm, _parse_srilm, _write_srilm),
    "jsonl": NBestFormat(lambda first_line: first_line.startswith("{"), _parse_jsonl, _write_jsonl),
    "kaldi": NBestFormat(lambda _: True, _parse_kaldi, _write_kaldi),
}
"""In the order in which they are looked for in a file."""
