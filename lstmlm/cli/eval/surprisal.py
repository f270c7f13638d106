"""`lstmlm eval surprisal`: how unexpected each word of a file was."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JoinOption,
    NormalizeOption,
    ProveOption,
    RunOption,
    SeedOption,
    new_file,
    path,
    refuse_beside,
    refuse_same_file,
)
from lstmlm.cli.render import print_proof, result_text, say, warn
from lstmlm.errors import ConfigError, DataError, counted, in_proportion, unknown

if TYPE_CHECKING:
    from lstmlm.evaluation.surprisal.stimuli import StimuliFormat
    from lstmlm.evaluation.surprisal.surprisal import MeasuredWord, WordContext


FirstWordOption = Annotated[
    Literal["after-eos", "zero-state", "skip"],
    typer.Option(
        help="The first word of a context: predicted after <eos>, or before anything is read; or not reported."
    ),
]

LastWordOption = Annotated[
    bool,
    typer.Option("--last-word", help="The last word of each context alone: how many are the likeliest, as in LAMBADA."),
]

FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help="What FILE is: csv, jsonl, text or tsv; or write as another program does: neural-complexity or lm-zoo. "
        "Give it twice for both.",
        show_default="what the content looks like",
    ),
]

OutputOption = Annotated[
    Path | None, typer.Option(parser=new_file, help="File to write.", show_default="standard output")
]


def surprisal(
    file: Annotated[
        Path,
        typer.Argument(parser=path, help="A table, JSON lines, or text with a sentence a line; - is stdin."),
    ],
    run: RunOption = None,
    context: Annotated[
        str, typer.Option(help="What a word is given: document, sentence, or a number of tokens before it.")
    ] = "document",
    first_word: FirstWordOption = "after-eos",
    no_eos: Annotated[bool, typer.Option("--no-eos", help="Leave out the rows of <eos>.")] = False,
    last_word: LastWordOption = False,
    normalization: NormalizeOption = None,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Write an object a line instead of TSV.")] = False,
    formats: FormatOption = None,
    encoding: EncodingOption = "utf-8",
    join: JoinOption = None,
    output: OutputOption = None,
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
) -> None:
    """Measure surprisal, entropy and rank of every word of a file, a row a word and one for each end of a sentence.

    Of a word of several tokens entropy and rank are those of the first. A table (tabs, commas or semicolons) has
    columns word and maybe sentence, or else whole sentences in sentence or text; JSON lines have text, sentence or
    words. Both may have item: that is a document of its own, one in each condition (condition, cond or list), and so
    is an object or a row a sentence without. Other columns come back after ours. White space before a word belongs to
    it, as a text has it. R reads the result with read.delim(FILE, quote = "", na.strings = "").

    Examples:

    lstmlm eval surprisal stimuli.tsv --output surprisal.tsv

    lstmlm eval surprisal sentences.txt --context sentence --no-eos --format lm-zoo
    """
    wanted_context = _context(context)
    refuse_same_file(output, [file])
    read_as, write_as = _formats(formats or [], as_jsonl=as_jsonl)
    from lstmlm import questions, workflows
    from lstmlm.evaluation.surprisal.formats import FORMATS, refuse_own_columns
    from lstmlm.evaluation.surprisal.stimuli import read_stimuli
    from lstmlm.evaluation.surprisal.surprisal import last_words

    stimuli = read_stimuli(file, read_as, encoding)
    if write_as in ("tsv", "jsonl"):
        refuse_own_columns(file, stimuli.other_columns)
    _say_problems(file, stimuli.problems)
    trained = workflows.load(run)
    prover = trained.prover(seed) if should_prove else None
    asked = partial(questions.measure_surprisal, trained, stimuli, context=wanted_context, first_word=first_word)
    words, advice = asked(join=join, normalization=normalization, prover=prover)
    warn([advice] if advice else [])
    if last_word:
        words = last_words(words, wanted_context)
    shown = [word for word in words if not (no_eos and word.is_end)]
    _write(FORMATS[write_as](shown, stimuli.other_columns), output)
    say(f"{trained.run.path}: {_summary_of_last(words) if last_word else _summary(words)}")
    print_proof(prover, on_stderr=True)
    if stimuli.problems:
        raise typer.Exit(DataError.exit_status)


def _say_problems(file: Path, problems: Sequence[str]) -> None:
    for problem in in_proportion(problems):
        say(problem)
    if problems:
        say(f"{file}: rows left out: {len(problems):,}. What follows them is read without them: mend the file.")


def _write(lines: Iterable[str], output: Path | None) -> None:
    if output is None:
        for line in lines:
            print(result_text(line))
    else:
        from lstmlm.files import write_lines

        write_lines(output, lines)


def _formats(formats: Sequence[str], *, as_jsonl: bool) -> "tuple[StimuliFormat | None, str]":
    """What the file is, if it is said, and how the result is written."""
    from lstmlm.evaluation.surprisal.stimuli import STIMULI_FORMATS

    known = (*STIMULI_FORMATS, "neural-complexity", "lm-zoo")
    for name in formats:
        if name not in known:
            raise ConfigError(f"--format: {unknown('format', name, known)}")
    read_as: list[StimuliFormat | None] = [name for name in STIMULI_FORMATS if name in formats]
    write_as = [name for name in formats if name not in STIMULI_FORMATS]
    refuse_beside("--jsonl", {f"--format {name}": as_jsonl for name in write_as})
    for first, *others in (names for names in (read_as, write_as) if names):
        refuse_beside(f"--format {first}", {f"--format {other}": True for other in others})
    return (read_as or [None])[0], (write_as or ["jsonl" if as_jsonl else "tsv"])[0]


def _context(text: str) -> "WordContext":
    if text == "document":
        return "document"
    if text == "sentence":
        return "sentence"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ConfigError(f"--context: needs document, sentence or a number of tokens above 0, got {text!r}.")


def _summary(words: "list[MeasuredWord]") -> str:
    n_words = sum(not word.is_end for word in words)
    n_sentences = len({id(word.sentence) for word in words if not word.is_end})
    n_unknown = sum(word.is_unknown and not word.is_end for word in words)
    n_empty = sum(word.is_end and word.index == 0 for word in words)
    parts = [f"{counted(n_words, 'word')} in {counted(n_sentences, 'sentence')}"]
    if n_unknown:
        parts.append(f"unknown: {n_unknown:,} ({n_unknown / n_words:.1%}), measured as <unk>")
    if n_empty:
        parts.append(f"empty lines: {n_empty:,}, measured as <eos>")
    return "; ".join(parts)


def _summary_of_last(words: "list[MeasuredWord]") -> str:
    n_first = sum(word.figures is not None and word.figures.is_likeliest and not word.is_unknown for word in words)
    share = f" ({n_first / len(words):.2%})" if words else ""
    return f"{counted(len(words), 'last word')}; the likeliest of all: {n_first:,}{share}"
