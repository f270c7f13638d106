"""`lstmlm eval pairs`: how often a model finds the right sentence of a minimal pair less surprising."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, RunOption, new_file, path, refuse_same_file
from lstmlm.cli.render import print_report
from lstmlm.errors import DataError


def pairs(
    files: Annotated[
        list[Path], typer.Argument(parser=path, help="Files of pairs or test suites, or folders of them.")
    ],
    run: RunOption = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="blimp, csv, syntaxgym or tsv.", show_default="what the content looks like"),
    ] = None,
    normalization: Annotated[
        str | None,
        typer.Option("--normalize", help="Write sentences as a corpus does: lowercase, ptb or wikitext."),
    ] = None,
    ngram: Annotated[
        int | None,
        typer.Option("--ngram", min=1, help="Ask an n-gram model of the run's training split instead, of this order."),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(parser=new_file, help="Write a row for each item to this TSV file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often a model finds the right sentence less surprising: BLiMP, Marvin & Linzen, SyntaxGym, your own.

    Pairs are JSON lines with sentence_good and sentence_bad, or lines of two columns, the better sentence first.

    Examples:

    lstmlm eval pairs blimp/ --run runs/wikitext --normalize wikitext

    lstmlm eval pairs agreement.tsv subordination.json --items items.tsv

    lstmlm eval pairs own.csv --ngram 5 --json
    """
    refuse_same_file(items, files)
    from lstmlm import questions, workflows
    from lstmlm.evaluation.report import to_tsv
    from lstmlm.files import write_atomically

    trained = workflows.load(run)
    result = questions.evaluate_pairs(
        trained, files, format_name=format_name, normalization=normalization, ngram_order=ngram
    )
    print_report(result.report, as_json=as_json)
    if items is not None:
        rows = [vars(verdict) for verdict in result.verdicts]
        write_atomically(items, "".join(f"{line}\n" for line in to_tsv(rows, list(rows[0]))).encode())
    if result.problems:
        raise DataError("\n".join(map(str, result.problems)))
