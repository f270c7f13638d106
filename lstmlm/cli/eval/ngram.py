"""`lstmlm eval ngram`: an n-gram model beside the run, and both together."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JsonOption,
    ProveOption,
    RunOption,
    SeedOption,
    SplitOption,
    TextOption,
    path,
    refuse_two_texts,
)
from lstmlm.cli.render import print_proof, print_report, say
from lstmlm.errors import ConfigError


def ngram(
    run: RunOption = None,
    order: Annotated[
        int | None, typer.Option(min=1, help="Length of the longest n-grams (tokens).", show_default="5")
    ] = None,
    split: SplitOption = None,
    text: TextOption = None,
    foreign: Annotated[
        Path | None, typer.Option("--from", parser=path, help="An ARPA file of KenLM or SRILM to measure; .gz too.")
    ] = None,
    encoding: EncodingOption = "utf-8",
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure a modified Kneser-Ney n-gram model of the run's training split, the run, and their mixture.

    The model that --from reads predicts the run's tokens: what is unknown to the run is <unk> to both, and what only
    the file does not know shares its <unk>. lstmlm export arpa writes such a file.

    The mixture averages their probabilities, with weights that suit the validation split best. Of that split itself the
    second half is measured, with weights from the first.

    Examples:

    lstmlm eval ngram

    lstmlm eval ngram --run runs/ptb-lstm-small --order 3 --split valid

    lstmlm eval ngram --from texts/trained.arpa --json
    """
    refuse_two_texts(split, text)
    if foreign is not None and order is not None:
        raise ConfigError(f"--from {foreign}: cannot be combined with --order, of a new model. Leave it out.")
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    prover = trained.prover(seed) if should_prove else None
    report = questions.evaluate_ngrams(
        trained, order or 5, split=split, text=text, encoding=encoding, foreign=foreign, prover=prover
    )
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report, as_json=as_json)
    print_proof(prover, on_stderr=as_json)
