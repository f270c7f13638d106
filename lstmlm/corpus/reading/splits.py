"""Texts that can be read again and again, and the splits of a corpus that is given by its path."""

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import glob
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lstmlm.config.data import DataOptions
from lstmlm.corpus.reading.compression import COMPRESSIONS, split_suffixes
from lstmlm.corpus.reading.decoding import normalized
from lstmlm.corpus.reading.documents import (
    CALLED_SPLITS,
    Piece,
    document_ends,
    holds_records,
    join_documents,
    open_text,
    read_documents,
)
from lstmlm.corpus.reading.recognition import RECORD_SUFFIXES, tell_once
from lstmlm.corpus.reading.text_files import Version, each_once, explained, files_below, in_blocks, name_of
from lstmlm.errors import ConfigError, DataError, MissingTextError, ShortTextError, in_proportion

SPLITS = ("train", "valid", "test")

CUTTING = 2
"""Raised whenever a text is cut otherwise, so that no cache has splits of before."""

SHARE_THAT_DOCUMENTS_KEEP = 0.5
"""Of the length of each part: where whole documents leave less of one, they are cut. Those of one length never do."""

SUFFIXES = (".txt", *RECORD_SUFFIXES)
"""Ends of the names of files that are read where a folder is named, before that of a compression."""


@dataclass(frozen=True)
class Text:
    """A text that can be read again and again: what messages call it, and its blocks; see `in_blocks`."""

    name: str
    blocks: Callable[[], Iterator[str]]
    files: tuple[Path, ...] = ()
    """What it is read from, if that is files."""
    document_ends: Callable[[], Iterator[int]] = lambda: iter(())
    """Where its documents end, as numbers of characters before that; none where no documents are known."""


def text_of(path: Path, options: DataOptions, *other_fields: str) -> Text:
    """A file as a text that a model reads as it has read its corpus, whose options are given; not read yet.

    Where its records have no field of that name, they may have one of the others.
    """
    return _joined(name_of(path), {path: None}, options, (options.field, *other_fields))


def text_in_memory(content: str, options: DataOptions) -> Text:
    """A text that is given as such, read as a model reads a file that holds it. Raises DataError if it is empty."""
    content = normalized(content)
    if not content:
        raise ShortTextError("text: is empty. Give it some words.")
    document = Text("text", lambda: in_blocks([content]))
    if options.eos in ("line", "never"):
        return _on_one_line(document) if options.eos == "never" else document
    pieces = [Piece(content, ends_document=True)]
    return Text(document.name, lambda: join_documents(pieces, options.eos))


def beginning_of(content: str, options: DataOptions) -> str:
    """The beginning of a text that is given as such, read as a model reads that of a file, or of its first document."""
    return content.replace("\n", " ") if options.eos in ("document", "never") else content


def text_of_files(paths: Sequence[Path], options: DataOptions) -> Text:
    """Files, folders of them and patterns as one text of a corpus, which must stay the same; not read yet."""
    files: list[Path] = []
    for path in paths:
        with explained(path):
            files += _files_of(str(path))
    return _joined(", ".join(map(str, files)), _versions(files), options)


def splits_of(options: DataOptions) -> dict[str, Text]:
    """The splits of a corpus that is given by its path: those that it has, or else the parts of the whole.

    Raises:
        ConfigError: an option has no effect on this corpus.
        DataError: there is no such corpus, a split is there twice, or the whole is too short for parts.
    """
    path = Path(options.corpus)
    with explained(path):
        splits = split_files(path)
        files = [] if splits else _files_of(options.corpus)
        if splits:
            _warn_of_files_beside(path, splits.values())
    _refuse_options_without_effect(options, [[file] for file in splits.values()] or [files])
    if splits:
        return {split: _joined(str(file), _versions([file]), options) for split, file in splits.items()}
    return _held_out(_joined(str(path), _versions(files), options), options)


def named_splits(texts: Mapping[str, Text], options: DataOptions) -> dict[str, Text]:
    """The splits of a named corpus, which has no documents. Raises ConfigError if an option has no effect on it."""
    _refuse_options_without_effect(options, [])
    return {split: _on_one_line(text) if options.eos == "never" else text for split, text in texts.items()}


def halves_of(text: Text, options: DataOptions) -> tuple[Text, Text]:
    """A text in two parts. Raises DataError if it is a single line, or nearly so, that must not be cut."""
    n_chars = _count_chars(text)
    bounds = _bounds(text, [n_chars // 2], n_chars, options)
    if bounds is None:
        raise DataError(f"{text.name}: no line begins in its second half. Measure or tune on another split or text.")
    return _part(text, "first half", *bounds[0:2]), _part(text, "second half", *bounds[1:3])


def _on_one_line(text: Text) -> Text:
    return replace(text, blocks=lambda: (block.replace("\n", " ") for block in text.blocks()))


def _joined(name: str, files: Mapping[Path, Version | None], options: DataOptions, fields: Sequence[str] = ()) -> Text:
    fields = fields or (options.field,)

    def blocks() -> Iterator[str]:
        if options.eos in ("line", "never") and len(files) == 1:
            [(path, version)] = files.items()
            kind, text = open_text(path, version, options.encoding)
            if kind != "jsonl":  # a single text has no ends of documents in it
                return text
        return join_documents(read_documents(files, options.encoding, fields), options.eos)

    def ends() -> Iterator[int]:
        if _are_documents(files, options):
            yield from document_ends(read_documents(files, options.encoding, fields), options.eos)

    text = Text(name, blocks, (*files,), ends)
    return _on_one_line(text) if options.eos == "never" else text


def _are_documents(files: Collection[Path], options: DataOptions) -> bool:
    """Whether a text of these files has ends of documents in it: a single text has none."""
    return len(files) > 1 or any(holds_records(file, options.encoding) for file in files)


def _versions(files: Iterable[Path]) -> dict[Path, Version | None]:
    """The files with what they are now: they are read more than once, and must stay the same meanwhile."""
    return {file: Version.of(file) for file in files}


def split_files(folder: Path) -> dict[str, Path]:
    """The splits that a folder has, the training split first. Raises DataError if one is there twice."""
    found = {}
    for split in SPLITS:
        names = [f"{split}{suffix}{compression}" for suffix in SUFFIXES for compression in ("", *COMPRESSIONS)]
        files = [folder / name for name in names if (folder / name).exists()]
        if len(files) > 1:
            listed = " and ".join(file.name for file in files)
            raise DataError(f"{folder}: has {listed}, but a split is one file. Move the others elsewhere.")
        if files:
            [found[split]] = files
    return found


def _warn_of_files_beside(folder: Path, splits: Collection[Path]) -> None:
    """Name the texts of a folder, and the folders of texts in it, that are not read: none is called as a split is."""
    others = sorted(file.name for file in folder.iterdir() if file not in splits and _has_text(file))
    if others:
        listed = ", ".join(in_proportion(others))
        tell_once(logging.WARNING, f"{folder}: splits are called train.txt, valid.txt and test.txt. Not read: {listed}")


def _has_text(path: Path) -> bool:
    """Whether a path is that of a file that is read where a folder is named, or of a folder right in which one is."""
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return any(_has_text(file) for file in path.glob("*") if not file.is_dir())
    return split_suffixes(path)[0] in SUFFIXES and path.is_file()


def _warn_of_likely_splits(corpus: Path, names: Iterable[str]) -> None:
    """Warn of files or folders called as splits are that become parts of one text, which is cut anew."""
    if likely := _likely_splits(sorted(names)):
        told = f"{corpus}: is read as one text, of which {', '.join(likely)} may be splits. To have them as such, name"
        tell_once(logging.WARNING, f"{told} a folder with train.txt, valid.txt and test.txt.")


def _likely_splits(names: Sequence[str]) -> list[str]:
    """A name of each split that some are called as: so alone, or like another but for that word, as `ptb.test.txt`.

    The training splits of several corpora may well be one text, and so may tests of several things.
    """
    stems = {name: name.split(".")[0].lower() for name in names}
    found = {stem: name for name, stem in stems.items() if stem in CALLED_SPLITS and len({*stems.values()}) > 1}
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = [word for word in re.split(r"[^a-z]+", name.lower()) if word not in ("", "of")]
        for split in [word for word in words if word in CALLED_SPLITS][:1]:
            alike.setdefault((*(word for word in words if word != split),), {}).setdefault(split, name)
    for splits in alike.values():
        found |= splits if len(splits) > 1 else {}
    return sorted(found.values())


def refuse_splits(folder: Path) -> None:
    """Refuse a folder as one text where its files are splits. Raises DataError, which names them."""
    with explained(folder):
        files = split_files(folder).values()
    if files:
        raise DataError(f"{folder}: has splits of its own. Name one of them: {', '.join(map(str, files))}.")


def _files_of(corpus: str) -> list[Path]:
    """The files of a corpus that is one text, in their order."""
    path = Path(corpus)
    if path.is_dir():
        if texts := each_once(path, files_below(path, SUFFIXES)):
            _warn_of_likely_splits(path, (text.relative_to(path).parts[0] for text in texts))
            return texts
        raise MissingTextError(
            f"{path}: holds neither train.txt nor other text ({', '.join(SUFFIXES)}, compressed or not). "
            f"Name a file, another folder, or a pattern: '{path}/*'."
        )
    if path.exists():
        return [path]
    if not any(mark in corpus for mark in "*?["):
        raise MissingTextError(
            f"{path}: no such file or folder. Paths start at the working directory; "
            "lstmlm data list shows the corpora that have a name."
        )
    # Unlike that of a path, this one takes absolute patterns and leaves hidden files out.
    matches = map(Path, glob(corpus, recursive=True))  # noqa: PTH207
    files = each_once(path, [path for path in matches if not path.is_dir()])
    if not files:
        literal = f" For [ itself write [[]: {corpus.replace('[', '[[]')}" if "[" in corpus else ""
        raise MissingTextError(
            f"{corpus}: matches no file. Paths start at the working directory; ** stands for folders.{literal}"
        )
    _warn_of_likely_splits(path, (file.name for file in files))
    return files


def _refuse_options_without_effect(options: DataOptions, texts: Collection[Collection[Path]]) -> None:
    """Refuse what says something of documents or records where the files of no text have any."""
    if options.eos in ("line_and_document", "document") and not any(_are_documents(files, options) for files in texts):
        raise ConfigError(
            f"data.eos: {options.eos!r} has no effect, as {options.corpus} is no collection of documents. "
            "Name a .jsonl file, a pattern or a folder of files, or set data.eos: line."
        )
    if options.field != DataOptions.model_fields["field"].default and not any(
        holds_records(file, options.encoding) for file in chain(*texts)
    ):
        raise ConfigError(
            f"data.field: {options.field!r} has no effect, as {options.corpus} has no JSON lines. Leave it out."
        )


def _held_out(text: Text, options: DataOptions) -> dict[str, Text]:
    """Cut a text into train, valid and test: the last `holdout` of its characters is test, as much before it valid."""
    n_chars = _count_chars(text)
    bounds = _bounds(text, _held_out_positions(n_chars, options.holdout), n_chars, options)
    if bounds is None:
        unit = "words" if options.eos == "never" else "lines"
        raise ShortTextError(
            f"{text.name}: too few {unit} to hold out {options.holdout:g} of it twice, as valid and test split. "
            + _how_to_hold_out(text, n_chars, options)
        )
    return {split: _part(text, split, *part) for split, part in zip(SPLITS, pairwise(bounds), strict=True)}


def _held_out_positions(n_chars: int, holdout: float) -> list[int]:
    return [round(n_chars * (1 - k * holdout)) for k in (2, 1)]


def _how_to_hold_out(text: Text, n_chars: int, options: DataOptions) -> str:
    """The smallest change of the configuration with which a text can be cut, else that of the text."""
    changes: list[dict[str, Any]] = [{"holdout": percent / 100} for percent in range(10, 50, 5)]
    for change in [*changes, {"eos": "never"}]:
        changed = options.model_copy(update=change)
        source = _on_one_line(text) if changed.eos == "never" else text
        if _bounds(source, _held_out_positions(n_chars, changed.holdout), n_chars, changed):
            [(key, value)] = change.items()
            return f"Set data.{key}={value}"
    return "Take data.tokenizer.name: char, a longer text, or a folder with train.txt, valid.txt and test.txt."


def _bounds(text: Text, positions: Sequence[int], n_chars: int, options: DataOptions) -> list[int] | None:
    """The bounds of parts that begin at rising positions or, but for the first, a little later; None if one is empty.

    They begin with a document, or a line, or a word, or in the middle of one: what is largest, and begins often enough.
    But words have no middle, and a line of them has none either where it ends in `<eos>`. Documents also have to leave
    `SHARE_THAT_DOCUMENTS_KEEP` of each part, as the last of many may be a page: where the next ones do not, those that
    begin nearest may.
    """
    lengths = np.diff([0, *positions, n_chars])
    are_words, is_on_one_line = options.tokenizer.name == "word", options.eos == "never"
    within_lines = [" "] if is_on_one_line else []
    within_lines += [] if are_words else [" ", ""]
    for unit in ("document", "nearest document", *([] if is_on_one_line else ["\n"]), *dict.fromkeys(within_lines)):
        bounds = [0, *_starts(text, positions, unit), n_chars]
        least = np.maximum(1, SHARE_THAT_DOCUMENTS_KEEP * lengths if unit.endswith("document") else 0)
        if np.all(np.diff(bounds) >= least):
            return bounds
    return None


def _count_chars(text: Text) -> int:
    return sum(map(len, text.blocks()))


def _starts(text: Text, positions: Sequence[int], unit: str) -> list[int]:
    """For each of rising positions, where the first unit begins there or later; else where the text ends.

    Args:
        text: The text.
        positions: Numbers of characters before each.
        unit: `document`; `nearest document`, which may begin before; or what a unit ends with, "" for characters.
    """
    if unit.endswith("document"):
        ends = np.fromiter(text.document_ends(), dtype=np.int64)
        if unit == "nearest document":
            return [int(min(ends, key=lambda end: abs(end - position), default=0)) for position in positions]
        return [int(ends[place]) if place < len(ends) else 0 for place in np.searchsorted(ends, positions)]
    starts: list[int] = []
    offset = 0
    for block in text.blocks():
        for position in positions[len(starts) :]:
            place = block.find(unit, max(0, position - 1 - offset))
            if place < 0:
                break
            starts.append(offset + place + 1)
        offset += len(block)
    return starts + [offset] * (len(positions) - len(starts))


def _part(text: Text, name: str, start: int, stop: int) -> Text:
    return Text(
        f"{text.name} ({name})",
        lambda: _between(text.blocks(), start, stop),
        text.files,
        lambda: (end - start for end in text.document_ends() if start < end <= stop),
    )


def _between(blocks: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The characters of a text from `start` to before `stop`."""
    offset = 0
    for block in blocks:
        if part := block[max(0, start - offset) : max(0, stop - offset)]:
            yield part
        offset += len(block)
        if offset >= stop:
            return
