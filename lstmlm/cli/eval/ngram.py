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
    new_file,
    path,
    refuse_same_file,
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
    arpa: Annotated[
        Path | None,
        typer.Option(parser=new_file, help="Write the n-gram model to this new file, for SRILM or KenLM; .gz too."),
    ] = None,
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure a modified Kneser-Ney n-gram model of the run's training split, the run, and their mixture.

    The model that --from reads predicts the run's tokens: what is unknown to the run is <unk> to both, and what only
    the file does not know shares its <unk>.

    The mixture averages their probabilities, with weights that suit the validation split best. Of that split itself the
    second half is measured, with weights from the first.

    Examples:

    lstmlm eval ngram

    lstmlm eval ngram --run runs/ptb-lstm-small --order 3 --split valid

    lstmlm eval ngram --arpa texts/trained.arpa --json
    """
    refuse_two_texts(split, text)
    refuse_same_file(arpa, [text])
    if foreign is not None and (order is not None or arpa is not None):
        raise ConfigError(
            f"--from {foreign}: cannot be combined with --order or --arpa, of a new model. Leave them out."
        )
    if arpa is not None and arpa.exists():
        raise ConfigError(f"--arpa {arpa}: exists already. Name a new file to write; --from reads one.")
    if arpa is not None and order == 1:
        raise ConfigError("--order 1: KenLM reads no ARPA file of single tokens. Take 2 or more, or leave out --arpa.")
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    prover = trained.prover(seed) if should_prove else None
    report = questions.evaluate_ngrams(
        trained, order or 5, split=split, text=text, encoding=encoding, arpa=arpa, foreign=foreign, prover=prover
    )
    if arpa is not None:
        say(f"{arpa} is written")
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report, as_json=as_json)
    print_proof(prover, on_stderr=as_json)
