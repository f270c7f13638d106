"""`lstmlm inspect`: a look inside a trained model, as a table, a figure or JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JsonOption,
    PlotOption,
    RunOption,
    SplitOption,
    TextCommand,
    TextOption,
    refuse_two_texts,
    run_path,
    typed_text,
)
from lstmlm.cli.render import print_table, say, warn_of_unknown

if TYPE_CHECKING:
    from lstmlm.evaluation.memory.gradients import GradientNorms
    from lstmlm.evaluation.report import Row

SHOWN_LAGS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)

inspect_app = typer.Typer(no_args_is_help=True, help="Look inside a trained model.")


@inspect_app.command()
def gradients(
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            parser=run_path,
            help="Run directory, or a name below runs/; repeat it to compare.",
            show_default="the newest under runs/",
        ),
    ] = None,
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    max_lag: Annotated[int, typer.Option(min=1, help="How many tokens to look back.")] = 200,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how far back predictions reach: the vanishing gradient, seen.

    Shown is the norm of the gradient of a token's surprisal (nats) by what the last layer remembered so many tokens
    before: its hidden state, and its memory cell where it has one. Figures are medians over positions of the text.

    Examples:

    lstmlm inspect gradients --plot gradients.png

    lstmlm inspect gradients --run runs/ptb-rnn --run runs/ptb-lstm-small --split valid --max-lag 100
    """
    refuse_two_texts(split, text)
    from lstmlm import questions, workflows

    models = [workflows.load(run_dir) for run_dir in run or (None,)]
    measured = questions.inspect_gradients(models, split=split, text=text, encoding=encoding, max_lag=max_lag)
    for source in dict.fromkeys(f"{norms.run}: {norms.text}, {norms.n_positions} positions" for norms in measured):
        say(source)
    if as_json:
        from lstmlm.evaluation.report import Report

        print(Report({"max_lag": max_lag}, [row for norms in measured for row in norms.to_rows()]).to_json())
    else:
        print_table(_by_lag(measured, max_lag))
    if plot is not None:
        from lstmlm.cli.display import figures

        figures.draw_gradients(measured, plot)


@inspect_app.command(cls=TextCommand)
def gates(
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", parser=typed_text, help="What the model reads.")],
    run: RunOption = None,
    layer: Annotated[
        int | None, typer.Option(help="Which layer, from 1, the lowest.", show_default="the last one")
    ] = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gates of a layer decide at each word, and what its memories hold after it.

    The letters are those of the cell's equations: for an LSTM input gate i, forget gate f, candidate g, output gate o,
    then hidden and cell; for a GRU reset gate r, update gate z, candidate n. The table has the mean magnitude over the
    units, --json and --plot have every unit.

    Examples:

    lstmlm inspect gates "the cat sat on the mat"

    lstmlm inspect gates "the cat sat on the mat" --layer 1 --plot gates.png
    """
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    activity = questions.inspect_gates(trained, sentence, layer)
    say(f"{activity.run}, layer {activity.layer}")
    warn_of_unknown(trained.tokenizer.unknown_pieces(sentence))
    if as_json:
        print(activity.to_json())
    else:
        print_table(activity.to_rows())
    if plot is not None:
        from lstmlm.cli.display import figures

        figures.draw_gates(activity, plot)


def _by_lag(measured: "Sequence[GradientNorms]", max_lag: int) -> "list[Row]":
    """Return a row for some lags, with the median of each run and memory."""
    medians = {f"{norms.run} {norms.memory}": norms.quartiles[1].tolist() for norms in measured}
    return [
        {"lag": lag, **{name: norms[lag] for name, norms in medians.items()}} for lag in SHOWN_LAGS if lag <= max_lag
    ]
