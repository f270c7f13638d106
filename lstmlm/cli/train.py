"""`lstmlm train`: from a YAML file to a run directory."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.render import progress_display, say, warn
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
        sets = [part for override in overrides or [] for part in ("--set", override)]
        again = ["lstmlm", "train", "--config", str(config), "--run-dir", str(where), *sets, "--resume"]
        saved = workflows.last_step(where)
        state = "Nothing is saved yet; start again" if saved is None else f"Step {saved:,} is saved; continue"
        say(f"Interrupted. {state}: {shlex.join(again)}")
        raise
    if report:
        print(f"valid perplexity {report.values['perplexity']:,.2f}")
    say(f'{where} is ready. Try it: lstmlm generate "" --run {shlex.quote(str(where))}')
