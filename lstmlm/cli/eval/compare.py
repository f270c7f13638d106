"""`lstmlm eval compare`: which of two models predicts a text better."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import EncodingOption, JsonOption, SplitOption, TextOption, refuse_two_texts, run_path
from lstmlm.cli.render import print_report, say
from lstmlm.errors import counted


def compare(
    run_a: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_A", parser=run_path, help="Run directory, or a name below runs/.", show_default=False
        ),
    ],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", parser=run_path, help="Another run.", show_default=False)],
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    as_json: JsonOption = False,
) -> None:
    """Compare how well two models predict one text, and say whether the difference is more than chance.

    Perplexities are compared where both models cut the text into the same tokens, else bits per character and byte.

    Examples:

    lstmlm eval compare runs/quickstart runs/quickstart-rnn

    lstmlm eval compare runs/words runs/characters --text essay.txt --json
    """
    refuse_two_texts(split, text)
    from lstmlm import questions, workflows

    report = questions.compare(workflows.load(run_a), workflows.load(run_b), split=split, text=text, encoding=encoding)
    values = report.values
    lines = str(values["resampled"])
    line = lines.removesuffix("s")
    say(f"{values['text']}: {counted(int(values['n_lines'] or 0), line)}")
    shown = {
        "a": values["run_a"],
        "b": values["run_b"],
        "better": values["better"] or "this text does not tell",
        "low, high": f"{values['confidence']:.0%} interval, from {values['n_resamples']:,} resamples of the {lines}",
    }
    if not values["n_resamples"]:
        shown |= {"better": f"one {line}: nothing to resample", "low, high": None}
    print_report(report, as_json=as_json, shown=shown)
