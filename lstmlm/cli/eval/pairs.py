"""`lstmlm eval pairs`: how often a model finds the right sentence of a minimal pair less surprising."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JoinOption,
    JsonOption,
    NormalizeOption,
    RunOption,
    new_file,
    path,
    refuse_same_file,
)
from lstmlm.cli.render import print_report, say, warn
from lstmlm.errors import ConfigError, DataError, in_proportion

FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="blimp, csv, syntaxgym or tsv.", show_default="what the content looks like"),
]

ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="GOOD,BAD", help="What holds the better and the worse sentence.", show_default="known by its names"
    ),
]

NgramOption = Annotated[
    int | None,
    typer.Option("--ngram", min=1, help="Ask an n-gram model of the run's training split instead, of this order."),
]


def pairs(
    files: Annotated[
        list[Path], typer.Argument(parser=path, help="Files of pairs or test suites, or folders of them.")
    ],
    run: RunOption = None,
    format_name: FormatOption = None,
    normalization: NormalizeOption = None,
    columns: ColumnsOption = None,
    no_eos: Annotated[bool, typer.Option("--no-eos", help="Leave out the ends of sentences.")] = False,
    encoding: EncodingOption = "utf-8",
    ngram: NgramOption = None,
    join: JoinOption = None,
    items: Annotated[
        Path | None, typer.Option(parser=new_file, help="Write a row for each item to this TSV file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often a model finds the right sentence less surprising: BLiMP, Marvin & Linzen, SyntaxGym, your own.

    Pairs are JSON lines with sentence_good and sentence_bad, or a table: two columns, the better sentence first, or
    more with names such as good and bad. CLAMS, MultiBLiMP, RuBLiMP, Gulordava's generated.tab and Linzen's .gold
    beside .text are read as they are; the last two break off at the verb, so that ends of sentences do not count.

    Examples:

    lstmlm eval pairs blimp/ --run runs/wikitext --normalize wikitext

    lstmlm eval pairs agreement.tsv subordination.json --items items.tsv

    lstmlm eval pairs own.csv --ngram 5 --json
    """
    names = _names(columns)
    from lstmlm import questions, workflows
    from lstmlm.corpus.reading.text_files import files_in
    from lstmlm.evaluation.pairs.files import SUFFIXES
    from lstmlm.evaluation.report import to_tsv
    from lstmlm.files import write_lines

    refuse_same_file(items, files_in(files, SUFFIXES))
    found = questions.read_pairs(files, format_name, names, normalization, encoding, has_ends=not no_eos)
    problems = [str(problem) for problem in found if isinstance(problem, DataError)]
    for problem in in_proportion(problems):
        say(problem)
    trained = workflows.load(run)
    result = questions.evaluate_pairs(trained, found, normalization=normalization, ngram_order=ngram, join=join)
    warn([result.advice] if result.advice else [])
    print_report(result.report, as_json=as_json)
    if items is not None:
        rows = [vars(verdict) for verdict in result.verdicts]
        write_lines(items, to_tsv(rows, list(rows[0])))
    if problems:
        raise typer.Exit(DataError.exit_status)


def _names(columns: str | None) -> list[str]:
    names = [name.strip() for name in columns.split(",")] if columns else []
    if names and len(names) != 2:
        raise ConfigError(f"--columns: needs two names with a comma between them, got {columns!r}.")
    return names
