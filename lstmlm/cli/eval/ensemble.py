"""`lstmlm eval ensemble`: how well several runs predict a text together."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JsonOption,
    ProveOption,
    SeedOption,
    SplitOption,
    TextOption,
    refuse_two_texts,
    run_path,
)
from lstmlm.cli.render import print_proof, print_report, say
from lstmlm.errors import ConfigError


def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", parser=run_path, help="Run directories, or names below runs/.")
    ],
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Average the probabilities that several runs give each token of a text.

    The runs must have one tokenizer, as those have that differ in seed or model alone.

    Examples:

    lstmlm eval ensemble runs/seed-1 runs/seed-2 runs/seed-3 --split valid
    """
    refuse_two_texts(split, text)
    if len(set(runs)) < max(2, len(runs)):
        raise ConfigError(f"RUN: needs two or more different runs, got {', '.join(map(str, runs))}. Name others.")
    from lstmlm import questions, workflows

    members = [workflows.load(run) for run in runs]
    prover = members[0].prover(seed) if should_prove else None
    report = questions.evaluate_together(members, split=split, text=text, encoding=encoding, prover=prover)
    say(str(report.values["text"]))
    print_report(report, as_json=as_json, shown={})
    print_proof(prover, on_stderr=as_json)
