"""`lstmlm audit`: whether a run is what its configuration and corpus give."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, run_path
from lstmlm.cli.render import print_report, say, working


def audit(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", parser=run_path, help="Run directory, or a name below runs/.", show_default=False
        ),
    ],
    segments: Annotated[
        int | None,
        typer.Option(help="Stretches between checkpoints that are trained again.", show_default="3, or all of fewer"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Draws the stretches.", show_default="another one each time, which is printed")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train parts of a run again, and compare weights, optimizer, state and metrics bit for bit.

    Every file is compared with its digest first. A run that keeps more checkpoints can be audited in smaller parts:
    training.keep.

    Examples:

    lstmlm train --config quickstart --set training.keep=all

    lstmlm audit runs/quickstart

    lstmlm audit runs/quickstart --segments 1 --seed 7 --json
    """
    from lstmlm.audit import audit as audits

    with working("training again: ") as tell:
        found = audits.audit(run, segments, secrets.randbits(31) if seed is None else seed, tell)
    report = found.report
    if as_json:  # one object alone: the figures, or what is wrong
        audits.require_passed(found)
    shown = (
        "compared",
        "metrics",
        "seed",
        "seconds",
        "training_seconds",
        "machine",
        "cpu_capability",
        "n_threads",
        "torch",
    )
    print_report(report, as_json=as_json, shown={name: report.values[name] for name in shown})
    audits.require_passed(found)
    say(
        f"{run} is what its configuration and corpus give, in {found.report.values['n_steps_repeated']:,} steps of "
        f"{found.n_steps:,} that were trained again."
    )
