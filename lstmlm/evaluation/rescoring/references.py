"""References, what was said in each utterance: Kaldi's text, NIST's STM and TRN, and JSON lines."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.recognition import refuse_one_value
from lstmlm.corpus.reading.text_files import Line, WholeFile, read_file
from lstmlm.errors import DataError
from lstmlm.evaluation.rescoring.formats import Hypothesis, object_of, text_of, utterance_of
from lstmlm.evaluation.rescoring.nbest import read_into, without

_COMMENT = ";;"
_NOT_SCORED = "ignore_time_segment_in_scoring"
_ALTERNATIVES = re.compile(r"[{}]|(?<!\S)\(\S+\)(?!\S)")
"""`{ um / uh / @ }`, any of which counts as right in NIST's sclite, and `(uh)`, which may be left out."""
_STM = re.compile(r"(?P<name>\S+)\s+\w\s+\S+\s+\d+(\.\d+)?\s+\d+(\.\d+)?(\s+<[^>]*>)?(?P<text>\s.*)?")
_TRN = re.compile(r"(?P<text>.*)\((?P<name>[^()\s]+)\)\s*")

logger = logging.getLogger(__name__)

Parsed = Iterable[tuple[str, str]]
"""The name of an utterance and what was said in it; none in a comment."""


def read_references(
    path: Path,
    lists: Sequence[Sequence[Hypothesis]],
    problems: list[str],
    ignored: Iterable[str] = (),
    encoding: str = UTF8,
) -> dict[str, str]:
    """Read what was said in the utterances that have a list, in whichever format all lines of the file have.

    Kaldi's `UTTERANCE word…`; STM, `UTTERANCE channel speaker begin end <label> word…`; TRN, `word… (UTTERANCE)`; or
    objects with `utterance` or `id`, and `text`. Lines that begin with `;;` are comments. What is wrong with lines that
    are left out is added to `problems`, and so are lists without a reference; lines of STM and TRN with alternatives
    are among them. `ignored` is as in `read_nbest`.

    Raises:
        DataError: there is no reference for any list, or an STM has several for one name.
    """
    found: dict[str, str] = {}
    file = read_file(path, encoding)
    read_into(found, file, _parser_of(file), problems)
    listed = {hypotheses[0].utterance: hypotheses[0].line for hypotheses in lists}
    if not found.keys() & listed.keys():
        names = f"such as {next(iter(listed))}, where it has {next(iter(found))}" if found else "which it has none of"
        raise DataError(f"{path}: no reference for any of the lists, {names}. Compare the names.")
    for utterance, line in listed.items():
        if utterance not in found:
            problems.append(str(line.error(f"no reference for {utterance}. Add one to {path}.")))
    others = [utterance for utterance in found if utterance not in listed]
    if others:
        logger.info("%s: %s of its utterances have no list, such as %s", path, f"{len(others):,}", others[0])
    return {name: without(ignored, text) for name, text in found.items() if name in listed}


def _parser_of(file: WholeFile) -> Callable[[Line], Parsed]:
    if file.kind == "json":
        refuse_one_value(file.name, file.content, file.encoding)
    lines = [line.text for line in file.lines() if line.text.strip() and not line.text.startswith(_COMMENT)]
    if file.kind == "jsonl" or (lines and lines[0].startswith("{")):
        return _parse_object
    if all(map(_STM.fullmatch, lines)):
        _refuse_recordings(file, lines)
        return partial(_parse_matched, _STM)
    return partial(_parse_matched, _TRN) if all(map(_TRN.fullmatch, lines)) else _parse_kaldi


def _refuse_recordings(file: WholeFile, lines: Iterable[str]) -> None:
    """Refuse an STM that names recordings in its first field, of which each has several segments."""
    n_segments = Counter(line.split(maxsplit=1)[0] for line in lines if _NOT_SCORED not in line.lower())
    for name, number in n_segments.most_common(1):
        if number > 1:
            raise DataError(
                f"{file.name}: has {number:,} segments of {name}, but lists are of utterances. Write into the first "
                "field of each segment the name of its utterance in the lists."
            )


def _parse_kaldi(line: Line) -> Parsed:
    if line.text.startswith(_COMMENT):
        return []
    name, _, text = line.text.strip().replace("\t", " ").partition(" ")
    return [(name, text)]


def _parse_matched(pattern: re.Pattern[str], line: Line) -> Parsed:
    match = pattern.fullmatch(line.text)
    if match is None or _NOT_SCORED in line.text.lower():
        return []  # a comment, or a stretch that is left out
    text = match["text"] or ""
    if found := _ALTERNATIVES.search(text):
        what = "alternatives" if found[0] in "{}" else f"{found[0]}, which may be left out"
        raise line.error(f"{match['name']} has {what}, and is not scored. Write the words that were said.")
    return [(match["name"], text)]


def _parse_object(line: Line) -> Parsed:
    record = object_of(line)
    return [(utterance_of(line, record), text_of(line, record))]
