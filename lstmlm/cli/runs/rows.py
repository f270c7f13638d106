"""Runs as rows of tables, sorted; shared by the commands of this folder."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lstmlm.cli.options import name_or_path
from lstmlm.cli.render import clock

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Row
    from lstmlm.history.summary import RunSummary

SortKey = Literal["name", "perplexity", "n_parameters", "tokens_per_second", "seconds", "changed", "state"]

SortOption = Annotated[
    SortKey,
    typer.Option("--sort", help="Order of the rows: lowest perplexity, else largest or newest, first."),
]

NEWEST = "the run below runs/ that recorded something last"
"""Which one is meant where none is named."""

_PLACES = "Directories, names below runs/, or patterns such as 'ptb-*'."

RunsArgument = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", parser=name_or_path, help=_PLACES)]

NamedRunsArgument = Annotated[list[str], typer.Argument(metavar="RUN...", parser=name_or_path, help=_PLACES)]
"""Where at least one has to be named."""


def in_order(summaries: "Sequence[RunSummary]", key: SortKey) -> "list[RunSummary]":
    """Return runs sorted by a column; those that have no value in it come last."""

    def place(summary: "RunSummary") -> tuple[Any, ...]:
        value = getattr(summary, key)
        if value is None or isinstance(value, str) or key == "perplexity":
            return (value is None, value or "" if isinstance(value, str | None) else value, summary.name)
        return (False, -value, summary.name)

    return sorted(summaries, key=place)


def row(summary: "RunSummary") -> "Row":
    """Return a run as people read it."""
    progress = f"{summary.step / summary.n_steps:.0%}" if summary.n_steps else ""
    return {
        "run": summary.name,
        "state": f"{summary.state} {progress}" if summary.state in ("training", "interrupted") else summary.state,
        "model": summary.backbone,
        "parameters": summary.n_parameters,
        "corpus": summary.corpus,
        "epoch": None if summary.epoch is None else f"{summary.epoch:.2f}",
        "valid perplexity": None if summary.perplexity is None else f"{summary.perplexity:,.2f}",
        "tokens/s": None if summary.tokens_per_second is None else round(summary.tokens_per_second),
        "time": clock(summary.seconds),
    }


def record(summary: "RunSummary") -> dict[str, Any]:
    """Return a run as JSON has it; the keys carry the units."""
    return asdict(summary)
