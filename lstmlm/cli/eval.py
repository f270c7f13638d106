"""`lstmlm eval`: questions asked of a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.render import print_report, say
from lstmlm.errors import ConfigError

eval_app = typer.Typer(no_args_is_help=True, help="Ask a trained model a question.")


@eval_app.callback()
def _eval() -> None:
    """Ask a trained model a question."""


@eval_app.command()
def perplexity(
    run: Annotated[Path | None, typer.Option(help="Run directory.", show_default="the newest under runs/")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, valid or test.", show_default="test where there is one, else valid")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="A text file in place of a split.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how well a model predicts a text: every token once, in order, with carried state.

    Examples:

    lstmlm eval perplexity

    lstmlm eval perplexity --run runs/ptb-lstm-small --split valid --json

    lstmlm eval perplexity --text essay.txt
    """
    if split is not None and text is not None:
        raise ConfigError(f"--text: cannot be combined with --split {split}. Give one of them.")
    from lstmlm import workflows

    trained = workflows.load(workflows.choose_run(run))
    report = workflows.evaluate(trained, "perplexity", split=split, text=text)
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report, as_json=as_json)
