"""`lstmlm runs show`: one run, with its curves and what it was made from."""

import json
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, name_or_path
from lstmlm.cli.render import print_json, print_table, say
from lstmlm.cli.runs.rows import NEWEST, record, row


def show(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", parser=name_or_path, help="Run directory, or a name below runs/.", show_default=NEWEST
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run: its figures, its curves, and where its configuration differs from the defaults.

    Examples:

    lstmlm runs show

    lstmlm runs show ptb-lstm-small --json
    """
    from rich.console import Console

    from lstmlm.cli.display.screen import Screen
    from lstmlm.history.selection import find_runs, newest_run
    from lstmlm.history.summary import read_run
    from lstmlm.yaml.comparison import differences_from_defaults

    found = read_run(find_runs([run])[0] if run else newest_run())
    chosen = differences_from_defaults(found.config) if found.config else {}
    if as_json:
        validations = [dict(event) for event in found.history.validations]
        print_json({**record(found.summary), "config": chosen, "validations": validations})
        return
    print_table([row(found.summary)])
    print()
    Console(highlight=False, markup=False).print(Screen(found.history, found.summary.name))
    if chosen:
        print()
        print_table([{"key": key, "value": json.dumps(value)} for key, value in chosen.items()])
    if found.summary.problem:
        say(found.summary.problem)
