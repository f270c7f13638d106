"""N-best lists of many utterances: read from files, of which each line can be wrong by itself."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.recognition import refuse_one_value
from lstmlm.corpus.reading.text_files import Line, WholeFile, files_in, read_file
from lstmlm.errors import ConfigError, DataError, conversion, in_proportion, shown
from lstmlm.evaluation.rescoring.formats import FORMATS, Hypothesis, finite_number

NO_WORDS = frozenset({"<s>", "</s>", "<eps>", "-pau-", "!SIL"})
"""What recognisers write for the ends of a line, for nothing and for silence. SRILM leaves out `-pau-` as well."""

_FOREIGN = (
    (
        r"[STHDP]-\d+\t",
        "fairseq's output, with logarithms to base 2",
        'split("\\t") | select(.[0] | startswith("{}-")) '
        "| {{utterance: .[0][2:], text: .[2], score: (.[1] | tonumber * 0.6931471805599453)}}",
    ),
    (
        r"\d+ \|\|\| ",
        "a list of Moses",
        'split(" ||| ") | {{utterance: .[0], text: .[1], score: (.[3] | tonumber)}}',
    ),
    (
        r"[^\t\n]*\t-?\d+\.\d+$",
        "NeMo's beams, which name no utterance; each of 4 in this command",
        'split("\\t") | {{utterance: ((input_line_number - 1) / 4 | floor), text: .[0], score: (.[1] | tonumber)}}',
    ),
)
"""How the first line of other programs' lists begins, whose they are, and the program for `jq` that makes objects."""

_COSTS = re.compile(r"(\S+-[1-9]\d*[ \t]+-?\d+([.eE][-+\deE]+)?\s*)+")
"""All lines of a file of costs, group 2 the last fraction or exponent; hypotheses may be whole numbers."""

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


def recognize_format(paths: Sequence[Path], encoding: str = UTF8) -> str:
    """Return the name in `FORMATS` of what the first line of the first file looks like.

    Raises:
        DataError: there is no such file, or it is empty.
    """
    file = read_file(next(files_in(paths)), encoding)
    first = "{" if file.kind == "json" else file.content.lstrip().partition("\n")[0]
    return next(name for name, nbest_format in FORMATS.items() if nbest_format.begins_with(first))


def read_nbest(
    paths: Sequence[Path],
    list_format: str,
    costs: Path | None,
    problems: list[str],
    ignored: Iterable[str] = (),
    encoding: str = UTF8,
) -> list[list[Hypothesis]]:
    """Read the lists of all utterances from files and folders of files, in their order; the format is one of `FORMATS`.

    `costs` are the acoustic ones of Kaldi's hypotheses, lines `UTTERANCE-N cost`, negative natural logarithms. What is
    wrong with lines that are left out is added to `problems`. `ignored` is left out of texts, as are `NO_WORDS`.

    Raises:
        ConfigError: the costs are for lists that have scores of their own.
        DataError: a path does not exist, or no hypothesis can be scored.
    """
    if costs is not None and list_format != "kaldi":
        raise ConfigError(f"--scores: {list_format} lists have scores of their own. Leave it out.")
    found: dict[str, Hypothesis] = {}
    for path in files_in(paths):
        with _listed(problems):
            file = read_file(path, encoding)
            _refuse_foreign(file)
            if list_format == "jsonl" and file.kind == "json":
                refuse_one_value(file.name, file.content, file.encoding)
            read_into(found, file, FORMATS[list_format].parse, problems)
    if list_format == "kaldi":
        found = _numbered_from_1(found, problems)
    if costs is not None:
        found = _with_costs(found, read_file(costs, encoding), problems)
    lists: dict[str, list[Hypothesis]] = {}
    for hypothesis in found.values():
        text = without(ignored, hypothesis.text)
        lists.setdefault(hypothesis.utterance, []).append(replace(hypothesis, text=text))
    if not lists:
        known = "Lists are SRILM's, Kaldi's or JSON lines; --format says which."
        raise DataError(
            "\n".join([*in_proportion(problems), f"{paths[0]}: no {list_format} list can be read. {known}"])
        )
    _warn_of_counts([hypothesis for hypotheses in lists.values() for hypothesis in hypotheses])
    return list(lists.values())


def _refuse_foreign(file: WholeFile) -> None:
    if (costs := _COSTS.fullmatch(file.content)) and costs[2]:
        raise DataError(f"{file.name}: has costs and no words. Name the list, and these as --scores.")
    for beginning, what, program in _FOREIGN:
        if re.match(beginning, file.content, re.MULTILINE):
            # Of fairseq's lines D has whole words, but may have been left out.
            command = ["jq", "-Rc", program.format("D" if re.search(r"^D-\d+\t", file.content, re.MULTILINE) else "H")]
            objects = conversion(file.name, command, ".jsonl", file.encoding)
            raise DataError(f"{file.name}: looks like {what}. Make objects: {objects}")


def without(ignored: Iterable[str], text: str) -> str:
    """Return the words of a text with one space between them, but for those that are ignored, and `NO_WORDS`."""
    left_out = NO_WORDS.union(ignored)
    return " ".join(word for word in text.split() if word not in left_out)


def _warn_of_counts(hypotheses: Sequence[Hypothesis]) -> None:
    """Tell of lines whose `nwords` counts something else than words with or without what only the user ignores."""
    wrong = []
    for one in hypotheses:
        counts = [len(text.split()) for text in (one.text, without((), one.kept))]
        if one.n_words is not None and one.n_words not in counts:
            wrong.append(one.line.error(f"{counts[0]} words, where nwords is {one.n_words}"))
    if wrong:
        logger.warning("%s, in %s such lines. Name noises in --ignore.", wrong[0], f"{len(wrong):,}")


def read_into(
    found: dict[str, Value], file: WholeFile, parse: Callable[[Line], Iterable[tuple[str, Value]]], problems: list[str]
) -> None:
    """Add what each line says that is not blank, by the name that it says it of; what is wrong, to `problems`."""
    for line in file.lines():
        if not line.text.strip():
            continue
        with _listed(problems):
            for name, value in parse(line):
                if name in found:
                    raise line.error(f"{name} comes a second time. Remove or rename one of them.")
                found[name] = value


@contextmanager
def _listed(problems: list[str]) -> Iterator[None]:
    """Note what is wrong with a line or file, and go on after it."""
    try:
        yield
    except DataError as error:
        problems.append(str(error))


def _numbered_from_1(found: Mapping[str, Hypothesis], problems: list[str]) -> dict[str, Hypothesis]:
    """Leave out what only ends in a number, as names of utterances do in lists of one hypothesis each."""
    numbered = {name: one for name, one in found.items() if f"{one.utterance}-1" in found}
    problems += [
        str(one.line.error(f"no hypothesis {one.utterance}-1 beside {name}. N of UTTERANCE-N counts from 1."))
        for name, one in found.items()
        if name not in numbered
    ]
    return numbered


def _with_costs(found: Mapping[str, Hypothesis], costs: WholeFile, problems: list[str]) -> dict[str, Hypothesis]:
    cost_of: dict[str, float] = {}
    read_into(cost_of, costs, _parse_cost, problems)
    problems += [
        str(hypothesis.line.error(f"no score for {name}. Add one to {costs.name}."))
        for name, hypothesis in found.items()
        if name not in cost_of
    ]
    return {
        name: replace(hypothesis, acoustic_score=-cost_of[name])
        for name, hypothesis in found.items()
        if name in cost_of
    }


def _parse_cost(line: Line) -> Iterable[tuple[str, float]]:
    try:
        name, cost = line.text.split()
        return [(name, finite_number(cost))]
    except ValueError:
        raise line.error(f"no cost, got {shown(line.text)}. A line reads: UTTERANCE-N cost.") from None
