"""`lstmlm eval ngram`: an n-gram model beside the run, and both together."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JsonOption,
    RunOption,
    SplitOption,
    TextOption,
    new_file,
    refuse_same_file,
    refuse_two_texts,
)
from lstmlm.cli.render import print_report, say


def ngram(
    run: RunOption = None,
    order: Annotated[int, typer.Option(min=1, help="Length of the longest n-grams (tokens).")] = 5,
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    arpa: Annotated[
        Path | None, typer.Option(parser=new_file, help="Write the n-gram model to this file, for SRILM or KenLM.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a modified Kneser-Ney n-gram model of the run's training split, the run, and their mixture.

    The mixture averages their probabilities, with weights that suit the validation split best. Of that split itself the
    second half is measured, with weights from the first.

    Examples:

    lstmlm eval ngram

    lstmlm eval ngram --run runs/ptb-lstm-small --order 3 --split valid

    lstmlm eval ngram --arpa texts/trained.arpa --json
    """
    refuse_two_texts(split, text)
    refuse_same_file(arpa, [text])
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    report = questions.evaluate_ngrams(trained, order, split=split, text=text, encoding=encoding, arpa=arpa)
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report, as_json=as_json)
