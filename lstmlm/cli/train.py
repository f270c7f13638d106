"""`lstmlm train`: from a configuration to a run directory."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import BudgetOption, ConfigOption, SetOption, budget_overrides, path, refuse_beside
from lstmlm.cli.render import SECONDS_BETWEEN_LINES, clock, print_json, say, speaks, warn, working
from lstmlm.errors import ConfigError, Interrupted, MissingRunError, as_command

if TYPE_CHECKING:
    from lstmlm.config import RunConfig
    from lstmlm.evaluation.report import Report


OF_PROGRESS = ("step", "validation", "checkpoint")
"""Events of a training that has gone on, and was not finished already."""

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors alone.")]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Make three steps and say what the training takes; nothing is written.")
]

OverfitOption = Annotated[
    bool,
    typer.Option(
        "--overfit-batch", help="Learn one batch by heart, to see that the network learns; nothing is written."
    ),
]

EventsOption = Annotated[
    bool,
    typer.Option("--json", help="Print the events of the training, a JSON object a line, as in metrics.jsonl."),
]


def train(
    config: ConfigOption = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(parser=path, help="Where the run goes.", show_default="runs/<name of the configuration>"),
    ] = None,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run exactly where it stopped, or start it.")
    ] = False,
    dry_run: DryRunOption = False,
    overfit_batch: OverfitOption = False,
    quiet: QuietOption = False,
    as_json: EventsOption = False,
) -> None:
    """Train a model.

    Examples:

    lstmlm train --config quickstart

    lstmlm train --config quickstart --set model.backbone.name=rnn --run-dir runs/rnn

    lstmlm train --config quickstart --budget 2m --run-dir runs/two-minutes

    lstmlm train --config quickstart --resume

    lstmlm train --resume --run-dir runs/ptb-lstm-small --set training.n_epochs=8

    lstmlm train --config quickstart --run-dir runs/watched --json | lstmlm watch -

    lstmlm train --config quickstart --dry-run

    lstmlm train --config quickstart --overfit-batch

    torchrun --nproc-per-node 2 -m lstmlm train --config quickstart --run-dir runs/both
    """
    # Read before torch is loaded, which takes seconds: they count.
    started = time.monotonic()
    from lstmlm.config.recipes import load_config

    changes = _own_changes(run_dir) if config is None else []
    described = config or _own_config(run_dir, resume=resume)
    checked = load_config(described, [*changes, *budget_overrides(budget), *(overrides or [])])
    warn(checked.warnings() if speaks() else [])
    where = run_dir or Path("runs") / Path(described).stem
    if dry_run or overfit_batch:
        _refuse_beside_trial(dry_run, overfit_batch, resume)
        if dry_run:
            _try_out(checked, where, started, as_json=as_json)
        else:
            _overfit(checked, where, as_json=as_json)
        return
    try:
        _train(checked, where, started, resume=resume, quiet=quiet, as_json=as_json)
    except Interrupted:
        if speaks():
            _say_how_to_continue(config, where, overrides or [], budget)
        raise


def _train(config: "RunConfig", where: Path, started: float, *, resume: bool, quiet: bool, as_json: bool) -> None:
    from lstmlm.cli.display import training_display

    told = set[str]()
    with training_display(where, quiet=quiet, as_json=as_json) as show:
        # Not before there is something to see: torch takes seconds to load.
        from lstmlm import workflows
        from lstmlm.distributed import World

        with World.from_environment() as world:
            observers = [show, lambda event: told.add(event.event)] if world.is_main else []
            report = workflows.train(config, where, resume=resume, world=world, observers=observers, started=started)
    if speaks() and not quiet and not as_json:
        _say_what_came_of_it(where, report, is_new=not told.isdisjoint(OF_PROGRESS))


def _refuse_beside_trial(dry_run: bool, overfit_batch: bool, resume: bool) -> None:
    """Refuse what has no meaning where nothing is to be trained in the end."""
    is_distributed = _program()[0] == "torchrun"
    others = {"--resume": resume, "--overfit-batch": dry_run and overfit_batch, "torchrun": is_distributed}
    refuse_beside("--dry-run" if dry_run else "--overfit-batch", others)


def _try_out(config: "RunConfig", where: Path, started: float, *, as_json: bool) -> None:
    from dataclasses import asdict

    from lstmlm.workflows import try_out

    found = try_out(config, where, started)
    if as_json:
        print_json(asdict(found))
        return
    peak = found.peak_memory_bytes
    rows = {
        "parameters": f"{found.n_parameters:,}, with {found.vocab_size:,} tokens in the vocabulary",
        "memory": "unknown here" if peak is None else f"{peak / 1e6:,.0f} MB at the peak of these steps",
        "speed": f"{found.tokens_per_second:,.0f} tokens/s",
        "steps": f"{found.n_steps:,}, {found.n_epochs:.2f} passes over {found.n_train_tokens:,} tokens",
        "time": f"{clock(found.seconds)} from start to end",
        "disk": f"{found.disk_bytes / 1e6:,.1f} MB, {found.checkpoint_bytes / 1e6:,.1f} for each checkpoint",
    }
    for name, value in rows.items():
        print(f"{name:<10}  {value}")


def _overfit(config: "RunConfig", where: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from lstmlm.workflows import overfit

    with working("learning one batch", SECONDS_BETWEEN_LINES) as tell:
        found = overfit(config, where, lambda step, nats: tell(f": step {step:,}, {nats:.3f} nats a token"))
    if as_json:
        print_json(asdict(found))
        return
    print(
        f"One batch of {found.n_tokens:,} tokens is learnt by heart after {found.n_steps:,} steps: {found.last:.3f} "
        f"nats a token, {found.first:.3f} at first; {found.least:.3f} is what the batch leaves open."
    )


def _say_what_came_of_it(where: Path, report: "Report | None", *, is_new: bool) -> None:
    if report:
        print(f"valid perplexity {report.values['perplexity']:,.2f}")
    state = "is ready" if is_new else "was finished already"
    say(f'{where} {state}. Try it: lstmlm generate "" --run {as_command([str(where)])}')


def _own_config(run_dir: Path | None, *, resume: bool) -> str:
    """Return the configuration that a run was started with, where it alone is named."""
    from lstmlm.checkpoint.folders import nearest_folder
    from lstmlm.checkpoint.run_directory import CONFIG, FORMAT, RunDirectory

    if run_dir is None or not resume:
        advice = "Name one, such as quickstart, or a YAML file; or continue a run: --resume --run-dir RUN"
        raise ConfigError(f"--config: is missing. {advice}")
    own = run_dir / CONFIG
    if not own.exists() and not RunDirectory.exists(run_dir):
        if near := nearest_folder(run_dir, FORMAT):
            raise MissingRunError(f"{run_dir}: holds no run to continue. Did you mean {near}?")
        begin = as_command(["lstmlm", "train", "--config", "quickstart", "--run-dir", str(run_dir), "--resume"])
        raise MissingRunError(f"{run_dir}: holds no run to continue. Name what it is to begin with: {begin}")
    return str(own)


def _own_changes(run_dir: Path | None) -> list[str]:
    """Return in what a run is not what it was started as, as overrides."""
    from lstmlm.checkpoint.run_directory import changes_of

    return [] if run_dir is None else changes_of(run_dir)


def _say_how_to_continue(config: str | None, where: Path, overrides: list[str], budget: str | None) -> None:
    from lstmlm.checkpoint.run_directory import last_step

    sets = [part for override in overrides for part in ("--set", override)]
    time_limit = ["--budget", budget] if budget else []
    # A run that goes on by its own configuration has its changes, too.
    named = ["--config", config] if config else []
    again = [*_program(), "train", *named, "--run-dir", str(where), *sets, *time_limit, "--resume"]
    saved = last_step(where)
    state = "Nothing is saved yet; start again" if saved is None else f"Step {saved:,} is saved; continue"
    say(f"Interrupted. {state}: {as_command(again)}")


def _program() -> list[str]:
    """Return the words that start lstmlm as it was started: by torchrun, where it is one of several processes."""
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1":
        return ["lstmlm"]
    is_one_machine = os.environ.get("LOCAL_WORLD_SIZE") == size
    # How several machines meet is known to their torchrun alone.
    options = ["--nproc-per-node", size] if is_one_machine else ["OPTIONS"]
    return ["torchrun", *options, "-m", "lstmlm"]
