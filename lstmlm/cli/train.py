"""`lstmlm train`: from a YAML file to a run directory."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.render import print_report, progress_display, say, warn
from lstmlm.errors import Interrupted


def train(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file that describes the run.")],
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run goes.", show_default="runs/<name of the YAML file>")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the YAML file. Can be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run exactly where it stopped, or start it.")
    ] = False,
) -> None:
    """Train a model.

    Examples:

    lstmlm train --config configs/quickstart.yaml

    lstmlm train --config configs/quickstart.yaml --set model.backbone.name=rnn --run-dir runs/rnn

    lstmlm train --config configs/quickstart.yaml --resume
    """
    from lstmlm.config import RunConfig
    from lstmlm.schema import load_yaml

    checked = load_yaml(config, RunConfig, overrides or [])
    warn(checked.warnings())
    where = run_dir or Path("runs") / config.stem

    from lstmlm import workflows

    try:
        with progress_display() as observer:
            report = workflows.train(checked, where, resume=resume, observers=[observer])
    except Interrupted:
        again = " ".join(f"--set {override}" for override in overrides or [])
        say(
            f"Interrupted. Continue: lstmlm train --config {config} --run-dir {where} {again} --resume".replace(
                "  ", " "
            )
        )
        raise
    if report:
        print_report(report, as_json=False)
    say(f'{where} is ready. Try it: lstmlm generate "…" --run {where}')
