"""`lstmlm eval perplexity`: how well a model predicts a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    refuse_same_file,
    refuse_two_texts,
)
from lstmlm.cli.render import print_proof, print_report, say, speaks

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Report, Value

SHOWN_DIGITS = 12
"""Of a fingerprint, for people."""


SaveOption = Annotated[
    Path | None,
    typer.Option(
        "--save-logprobs",
        metavar="FILE",
        parser=new_file,
        help="Write the log-probability of every token, for eval combine.",
    ),
]


def perplexity(
    run: RunOption = None,
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    context: Annotated[
        Literal["document", "line"],
        typer.Option(help="What a token is predicted from: all of the text before it, or its own line alone."),
    ] = "document",
    save_logprobs: SaveOption = None,
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a model predicts a text: every token once, in order.

    Figures with the same fingerprint can be compared: same text, same tokens, same context, everything counted.

    Examples:

    lstmlm eval perplexity

    lstmlm eval perplexity --run runs/ptb-lstm-small --split valid --json

    lstmlm eval perplexity --text essay.txt --context line

    torchrun --nproc-per-node 2 -m -- lstmlm eval perplexity --run runs/ptb-lstm-small

    lstmlm eval perplexity --text - < essay.txt
    """
    refuse_two_texts(split, text)
    refuse_same_file(save_logprobs, [text])
    from lstmlm import workflows
    from lstmlm.distributed import World

    with World.from_environment() as world:
        trained = workflows.load(run)
        prover = trained.prover(seed) if should_prove else None
        report = workflows.evaluate(
            trained,
            split=split,
            text=text,
            encoding=encoding,
            context=context,
            world=world,
            prover=prover,
        )
    if not speaks():
        return
    if save_logprobs is not None:
        from lstmlm.evaluation.perplexity.token_file import write_token_file

        write_token_file(save_logprobs, report)
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report if as_json else _for_people(report), as_json=as_json)
    print_proof(prover, on_stderr=as_json)


def _for_people(report: "Report") -> "Report":
    """Keep the figures that say something about this text, each with what it is a mean over."""
    from lstmlm.evaluation.bootstrap import CONFIDENCE
    from lstmlm.evaluation.report import Report

    values = report.values
    figures = {"perplexity": ("perplexity", f"{values['n_tokens']:,} tokens")}
    if values["n_tokens_without_unk"] != values["n_tokens"]:
        figures["perplexity without <unk>"] = ("perplexity_without_unk", f"{values['n_tokens_without_unk']:,} tokens")
    if values["n_words"]:
        figures["perplexity per word"] = ("perplexity_per_word", f"{values['n_words']:,} words")
    notes = {
        f"{CONFIDENCE:.0%} interval": _interval(values),
        "counted": values["counted"],
        "context": values["context"],
        "fingerprint": str(values["fingerprint"])[:SHOWN_DIGITS],
    }
    if values["unsaid"]:
        notes["bits per byte"] = f"none: {values['unsaid']}"
    else:
        figures["bits per character"] = ("bits_per_char", f"{values['n_chars']:,} characters")
        figures["bits per byte"] = ("bits_per_byte", f"{values['n_bytes']:,} bytes")
    return Report(
        notes,
        rows=[{"figure": name, "value": values[key], "over": units} for name, (key, units) in figures.items()],
    )


def _interval(values: "Mapping[str, Value]") -> str | None:
    """Say how far the perplexity is that of this text's own lines; None where there is but one."""
    low, high, n_resampled = values["perplexity_low"], values["perplexity_high"], values["n_resampled"]
    if n_resampled == 1:
        return None
    return f"{low:,.4f} to {high:,.4f}, had other {values['resampled']} been drawn than these {n_resampled:,}"
