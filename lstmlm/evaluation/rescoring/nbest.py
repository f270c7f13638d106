"""N-best lists of many utterances, with what was said: read from files, of which each line can be wrong by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lstmlm.corpus.reading.text_files import Line, files_in, read_lines
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.rescoring.formats import FORMATS, Hypothesis, finite, quoted

SHOWN_PROBLEMS = 3
"""Where nothing can be used, more of them would say nothing new."""

Value = TypeVar("Value")


def recognise_format(paths: Sequence[Path]) -> str:
    """Return the name in `FORMATS` of what the first line of the first file looks like.

    Raises:
        DataError: there is no such file, or it is empty.
    """
    first = next(read_lines(next(files_in(paths)))).text
    return next(name for name, nbest_format in FORMATS.items() if nbest_format.begins_with(first))


def read_nbest(
    paths: Sequence[Path], list_format: str, costs: Path | None, problems: list[str]
) -> list[list[Hypothesis]]:
    """Read the lists of all utterances from files and folders of files, in their order; the format is one of `FORMATS`.

    `costs` are the acoustic ones of Kaldi's hypotheses, lines `UTTERANCE-N cost`, negative natural logarithms. What is
    wrong with lines that are left out is added to `problems`.

    Raises:
        ConfigError: the costs are for lists that have scores of their own.
        DataError: a path does not exist, or no hypothesis can be scored.
    """
    if costs is not None and list_format != "kaldi":
        raise ConfigError(f"--scores: {list_format} lists have scores of their own. Leave it out.")
    found: dict[str, Hypothesis] = {}
    for file in files_in(paths):
        with _listed(problems):
            _read_into(found, file, FORMATS[list_format].parse, problems)
    if costs is not None:
        found = _with_costs(found, costs, problems)
    if not found:
        raise DataError("\n".join([*problems[:SHOWN_PROBLEMS], f"{paths[0]}: no {list_format} list can be read."]))
    lists: dict[str, list[Hypothesis]] = {}
    for hypothesis in found.values():
        lists.setdefault(hypothesis.utterance, []).append(hypothesis)
    return list(lists.values())


def read_references(path: Path, lists: Sequence[Sequence[Hypothesis]], problems: list[str]) -> dict[str, str]:
    """Read what was said in the utterances that have a list, lines `UTTERANCE word…`.

    What is wrong with lines that are left out, on either side, is added to `problems`.

    Raises:
        DataError: there is no reference for any list.
    """
    found: dict[str, Line] = {}
    _read_into(found, path, _parse_reference, problems)
    listed = {hypotheses[0].utterance: hypotheses[0].line for hypotheses in lists}
    if not found.keys() & listed.keys():
        raise DataError(f"{path}: no reference for any of the lists, such as {next(iter(listed))}. Compare the names.")
    for utterance, line in listed.items():
        if utterance not in found:
            problems.append(str(line.error(f"no reference for {utterance}. Add one to {path}.")))
    for utterance, line in found.items():
        if utterance not in listed:
            problems.append(str(line.error(f"no hypotheses for {utterance}. Add a list, or remove the line.")))
    return {name: " ".join(line.text.split()[1:]) for name, line in found.items() if name in listed}


def _read_into(
    found: dict[str, Value], file: Path, parse: Callable[[Line], tuple[str, Value] | None], problems: list[str]
) -> None:
    """Add what each line of a file says, by the name that it says it of."""
    for line in read_lines(file):
        with _listed(problems):
            entry = parse(line)
            if entry is None:
                continue
            name, value = entry
            if name in found:
                raise line.error(f"{name} comes a second time. Remove one of them.")
            found[name] = value


@contextmanager
def _listed(problems: list[str]) -> Iterator[None]:
    """Note what is wrong with a line or file, and go on after it."""
    try:
        yield
    except DataError as error:
        problems.append(str(error))


def _with_costs(found: Mapping[str, Hypothesis], costs: Path, problems: list[str]) -> dict[str, Hypothesis]:
    cost_of: dict[str, float] = {}
    _read_into(cost_of, costs, _parse_cost, problems)
    problems += [
        str(hypothesis.line.error(f"no score for {name}. Add one to {costs}."))
        for name, hypothesis in found.items()
        if name not in cost_of
    ]
    return {
        name: replace(hypothesis, acoustic_score=-cost_of[name])
        for name, hypothesis in found.items()
        if name in cost_of
    }


def _parse_reference(line: Line) -> tuple[str, Line]:
    if not line.text.strip():
        raise line.error("is blank. A line reads: UTTERANCE word word.")
    return line.text.split()[0], line


def _parse_cost(line: Line) -> tuple[str, float]:
    try:
        name, cost = line.text.split()
        return name, finite(cost)
    except ValueError:
        raise line.error(f"no cost, got {quoted(line)}. A line reads: UTTERANCE-N cost.") from None
