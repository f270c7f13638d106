"""`lstmlm eval surprisal`: how unexpected each word of a file was."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lstmlm.cli.options import RunOption, new_file, path, refuse_same_file
from lstmlm.cli.render import result_text, say
from lstmlm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lstmlm.evaluation.surprisal.surprisal import MeasuredWord, WordContext


def surprisal(
    file: Annotated[
        Path, typer.Argument(parser=path, help="Text, a sentence a line; .tsv, a word a row; .jsonl; or - for stdin.")
    ],
    run: RunOption = None,
    context: Annotated[
        str, typer.Option(help="What a word is given: document, sentence, or a number of tokens before it.")
    ] = "document",
    first_word: Annotated[
        Literal["after-eos", "zero-state", "skip"],
        typer.Option(
            help="The first word of a context: predicted after <eos>, or before anything is read; or not reported."
        ),
    ] = "after-eos",
    no_eos: Annotated[bool, typer.Option("--no-eos", help="Leave out the rows of <eos>.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Write an object a line instead of TSV.")] = False,
    foreign_format: Annotated[
        Literal["neural-complexity", "lm-zoo"] | None,
        typer.Option("--format", help="Write as another program does.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(parser=new_file, help="File to write.", show_default="standard output")
    ] = None,
) -> None:
    """Measure surprisal, entropy and rank of every word of a file, a row a word and one for each end of a sentence.

    A .tsv has a header with a column word, and may have item and sentence; an object of a .jsonl has text, sentence or
    words, and may have item. An item is a document of its own. All other columns come back after ours.

    Examples:

    lstmlm eval surprisal stimuli.tsv --output surprisal.tsv

    lstmlm eval surprisal sentences.txt --context sentence --no-eos

    lstmlm eval surprisal sentences.txt --format lm-zoo
    """
    if as_jsonl and foreign_format is not None:
        raise ConfigError(f"--jsonl: cannot be combined with --format {foreign_format}. Give one of them.")
    refuse_same_file(output, [file])
    wanted_context = _context(context)
    from lstmlm import files, questions, workflows
    from lstmlm.evaluation.surprisal.formats import FORMATS

    trained = workflows.load(run)
    stimuli, words = questions.measure_surprisal(trained, file, context=wanted_context, first_word=first_word)
    shown = [word for word in words if not (no_eos and word.is_end)]
    lines = FORMATS[foreign_format or ("jsonl" if as_jsonl else "tsv")](shown, stimuli.other_columns)
    if output is None:
        for line in lines:
            print(result_text(line))
    else:
        files.write_atomically(output, "".join(f"{line}\n" for line in lines).encode())
    say(f"{trained.run.path}: {_summary(words)}")
    if stimuli.problems:
        listed = "\n".join(stimuli.problems)
        raise DataError(
            f"{listed}\n{file}: rows left out: {len(stimuli.problems):,}. What follows them was read without them: "
            "mend the file."
        )


def _context(text: str) -> "WordContext":
    if text == "document":
        return "document"
    if text == "sentence":
        return "sentence"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ConfigError(f"--context: needs document, sentence or a number of tokens above 0, got {text!r}.")


def _summary(words: "list[MeasuredWord]") -> str:
    n_ends = sum(word.is_end for word in words)
    n_words, n_unknown = len(words) - n_ends, sum(word.is_unknown for word in words)
    n_empty = sum(word.is_end and word.index == 0 for word in words)
    parts = [f"{n_words:,} words in {n_ends - n_empty:,} sentences"]
    if n_unknown:
        parts.append(f"unknown: {n_unknown:,} ({n_unknown / n_words:.1%}), measured as <unk>")
    if n_empty:
        parts.append(f"empty lines: {n_empty:,}, measured as <eos>")
    return "; ".join(parts)
