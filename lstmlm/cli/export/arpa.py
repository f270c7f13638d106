"""`lstmlm export arpa`: an n-gram model of what a run has learnt, for other toolkits."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import RunOption, unused_path
from lstmlm.cli.render import say


def arpa(
    file: Annotated[
        Path, typer.Argument(parser=unused_path, help="The ARPA file to write; there must be none yet. .gz is packed.")
    ],
    run: RunOption = None,
    order: Annotated[int, typer.Option(min=2, help="Length of the longest n-grams (tokens).")] = 5,
) -> None:
    """Estimate a modified Kneser-Ney n-gram model of the run's training split, and write it for KenLM, SRILM or Kaldi.

    Its tokens are the run's. lstmlm eval ngram measures such a model beside the run and mixed with it, and --from there
    reads the file again.

    Examples:

    lstmlm export arpa texts/trained.arpa

    lstmlm export arpa bigrams.arpa.gz --order 2 --run runs/ptb-lstm-small
    """
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    longest = questions.write_ngrams(trained, order, file)
    say(f"{trained.run.path}: the {longest}-grams of its training split are in {file}")
