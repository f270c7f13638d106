"""`lstmlm runs list`: all runs, a row each."""

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_json, print_table, say
from lstmlm.cli.runs.rows import RunsArgument, SortOption, in_order, record, row


def list_runs(runs: RunsArgument = None, sort: SortOption = "changed", as_json: JsonOption = False) -> None:
    """List runs with their models, best validation perplexity, speed, time and state.

    Examples:

    lstmlm runs

    lstmlm runs list 'ptb-*' --sort perplexity

    lstmlm runs list --json
    """
    from lstmlm.history.selection import ROOT, all_runs, find_runs
    from lstmlm.history.summary import read_run

    found = [read_run(path).summary for path in (find_runs(runs) if runs else all_runs())]
    summaries = in_order(found, sort)
    if as_json:
        print_json({"runs": [record(summary) for summary in summaries]})
    elif not summaries:
        say(f"There are no runs below {ROOT}/. Train one: lstmlm train --config quickstart")
    else:
        print_table([row(summary) for summary in summaries])
        for summary in summaries:
            if summary.problem:
                say(summary.problem)
