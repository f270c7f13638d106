"""`lstmlm eval harness`: the tasks of lm-eval."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, RunOption, path
from lstmlm.cli.render import print_report, say


def harness(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", help="Names of lm-eval's tasks.")],
    run: RunOption = None,
    include_path: Annotated[
        Path | None, typer.Option("--include-path", parser=path, help="A folder of more tasks, as YAML files.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many questions of each task.", show_default="all")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the questions of EleutherAI's lm-evaluation-harness: BLiMP, LAMBADA, WikiText and what else it has.

    Needs the harness extra, and for most tasks a network, as lm-eval fetches their data. Every token is predicted from
    all before it, the first one after <eos>; with versions of lm-eval after 0.4.13, lm_eval --model lstmlm
    --model_args run=RUN does the same.

    Examples:

    lstmlm eval harness blimp --run runs/wikitext

    lstmlm eval harness agreement --include-path texts/tasks --limit 100 --json
    """
    from lstmlm import workflows
    from lstmlm.api.harness import evaluate_tasks

    trained = workflows.load(run)
    report = evaluate_tasks(trained, tasks, include_path, limit)
    say(f"{trained.run.path}: {', '.join(tasks)}")
    print_report(report, as_json=as_json)
