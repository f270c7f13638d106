"""Files of minimal pairs: what each is, and its items. Pairs come as JSON lines, in tables, or in suites of SyntaxGym.

In a table, two columns have the better and the worse sentence, in this order or under known names, and a paradigm may
stand before them, as Marvin & Linzen have it. The forms of some published benchmarks are known too.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from lstmlm.corpus.reading.compression import split_suffixes
from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.json_lines import parse_object
from lstmlm.corpus.reading.recognition import RECORD_SUFFIXES, TABLE_SUFFIXES, refuse_one_value
from lstmlm.corpus.reading.tables import DELIMITERS, find_delimiter
from lstmlm.corpus.reading.text_files import WholeFile, read_file
from lstmlm.errors import ConfigError, DataError, as_command, conversion, shown, unknown
from lstmlm.evaluation.normalization import Normalization
from lstmlm.evaluation.pairs.items import BAD, GOOD, PAIR_FORMULA, Item, make_item
from lstmlm.evaluation.pairs.suites import read_suite
from lstmlm.evaluation.pairs.tables import Pair, find_names, pairs_of_table, without_numbers

SUFFIXES = (*RECORD_SUFFIXES, *TABLE_SUFFIXES)
"""What files are called that are read where a folder is named."""

FORMATS = ("blimp", "csv", "syntaxgym", "tsv")

_KEYS_OF_SUITES = ('"predictions"', '"conditions"', '"meta"')


def read_items(
    path: Path,
    format_name: str | None,
    normalize: Normalization,
    columns: Sequence[str] = (),
    encoding: str = UTF8,
) -> Iterator[Item | DataError]:
    """Yield the items of a file, all sentences normalized, and in place of what cannot be used the error that says why.

    The format is a name in `FORMATS`; where not given, it is recognised by the content. `columns` are those of the
    better and the worse sentence.

    Raises:
        ConfigError: there is no format of that name.
    """
    if format_name is not None and format_name not in FORMATS:
        raise ConfigError(f"--format: {unknown('format', format_name, FORMATS)}")
    try:
        file = read_file(path, encoding)
        match format_name or recognize_format(file):
            case "syntaxgym":
                yield from read_suite(file.name, file.content, normalize)
            case "blimp":
                yield from _items(file, normalize, without_numbers(list(_pairs_of_records(file, columns))))
            case name:
                delimiter = "\t" if name == "tsv" else ";" if _delimiter_of(file) == ";" else ","
                yield from _items(file, normalize, pairs_of_table(file, delimiter, columns))
    except DataError as error:
        yield error


def recognize_format(file: WholeFile) -> str:
    """Return the name of a file's format. Raises DataError if it is none."""
    content = file.content.lstrip()
    if file.kind in ("json", "jsonl") or content.startswith("{"):
        is_suite = content.startswith("{") and any(key in content for key in _KEYS_OF_SUITES)
        if is_suite and not _begins_with_pair(content):
            return "syntaxgym"
        if file.kind == "json":
            refuse_one_value(file.name, file.content, file.encoding)
        return "blimp"
    delimiter = _delimiter_of(file)
    if delimiter is None:
        raise DataError(
            f"{file.name}: holds no pairs, as its lines are not cut into columns. Write a pair a line: the better and "
            "the worse sentence, with a tab between them."
        )
    return "tsv" if delimiter == "\t" else "csv"


def _begins_with_pair(content: str) -> bool:
    """Whether the first line is a record of a pair, which may have fields that are called as those of a suite."""
    try:
        record = json.loads(content.partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return find_names(list(record)) is not None


def _delimiter_of(file: WholeFile) -> str | None:
    """What stands between the columns, also where some rows are too short or too long."""
    if found := find_delimiter(file.content):
        return found
    lines = [line for line in file.content.split("\n") if line.strip()]
    for delimiter in DELIMITERS if lines else ():
        [(n_delimiters, n_lines)] = Counter(line.count(delimiter) for line in lines).most_common(1)
        is_likely = file.kind == "table" or delimiter == "\t"
        if n_delimiters and (find_names(lines[0].split(delimiter)) or (is_likely and 2 * n_lines > len(lines))):
            return delimiter
    return None


def _pairs_of_records(file: WholeFile, columns: Sequence[str]) -> Iterator[Pair | DataError]:
    is_known = False
    for line in file.lines():
        if not line.text.strip():
            continue
        try:
            record = parse_object(line.text)
        except ValueError as error:
            yield line.error(str(error))
            continue
        found = find_names(list(record), columns)
        if found is None and not is_known:
            raise line.error(_advice(file, record))
        is_known = True
        values = list(record.values())
        paradigm, good, bad = (None if place is None else values[place] for place in found or (None, None, None))
        if isinstance(good, str) and isinstance(bad, str):
            yield Pair(line.number, None if paradigm is None else str(paradigm), good, bad)
        else:
            got = f"{shown(good)} and {shown(bad)}" if found else ", ".join(map(repr, record))
            yield line.error(f"expected a better and a worse sentence, got {got}. Write both, in quotes.")


def _advice(file: WholeFile, record: Mapping[str, Any]) -> str:
    """What is wrong with a record that has no known names, and what to do."""
    names = ", ".join(map(repr, record)) or "nothing"
    for key, value in record.items():
        is_list = isinstance(value, list) and bool(value)
        inner = value[0] if is_list else value
        if isinstance(inner, dict) and find_names(list(inner)):
            program = (f".{key}" if key.isidentifier() else f".[{json.dumps(key)}]") + "[]" * is_list
            command = conversion(file.name, ["jq", "-c", program], ".jsonl", file.encoding)
            return f"has its pair within the field {key!r}. Take it out: {command}"
    if "text" in record:
        command = as_command(["lstmlm", "eval", "surprisal", str(file.path), "--last-word"])
        return f"is a text and no pair, got {names}. Measure how often its last word is the likeliest one: {command}"
    return f"has no sentence_good and sentence_bad, got {names}. Call them so, or say what has them: --columns GOOD,BAD"


def _items(file: WholeFile, normalize: Normalization, pairs: Iterable[Pair | DataError]) -> Iterator[Item | DataError]:
    stem = PurePath(file.path.stem).stem if split_suffixes(file.path)[1] else file.path.stem
    for pair in pairs:
        if isinstance(pair, DataError):
            yield pair
            continue
        try:
            if not pair.good.split() or not pair.bad.split():
                raise DataError("a sentence of the pair is empty. Write both.")
            # A file that holds one paradigm is often named like it.
            name = "/".join(dict.fromkeys([stem, *([pair.paradigm] if pair.paradigm else [])]))
            sentences = {GOOD: {1: pair.good}, BAD: {1: pair.bad}}
            item = make_item(file.name, str(pair.number), name, sentences, PAIR_FORMULA, normalize)
            yield replace(item, has_end=pair.has_end)
        except DataError as error:
            yield DataError(f"{file.name}:{pair.number}: {error}")
