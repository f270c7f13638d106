"""`lstmlm data get`: a named corpus, fetched once and verified."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.render import is_live, say

if TYPE_CHECKING:
    from lstmlm.corpus.named import Dataset


def get(name: Annotated[str, typer.Argument(metavar="NAME", help="A corpus of `lstmlm data list`.")]) -> None:
    """Fetch a corpus into the cache, verify it and cut it into its splits; data.corpus: NAME then reads it.

    The cache is that of the platform, or the directory that LSTMLM_CACHE names. Nothing is fetched a second time, and
    no other command fetches anything, but for eval harness, whose tasks lm-eval fetches. A corpus that may not be
    handed on is verified where you have put it.

    Examples:

    lstmlm data get wikitext-2

    lstmlm train --config quickstart --set data.corpus=wikitext-2 --run-dir runs/wikitext-2
    """
    from lstmlm.corpus.named import find_dataset
    from lstmlm.corpus.named.preparation import get as get_corpus

    dataset = find_dataset(name)
    say(f"{name}: licence {dataset.licence}")
    with _download_display(dataset) as progress:
        get_corpus(dataset, progress)
    print(dataset.place or dataset.how_to_get)


@contextmanager
def _download_display(dataset: "Dataset") -> Iterator[Callable[[int], None]]:
    """Say what is fetched and from where, and show how much has come where a terminal can."""
    facts = dataset.facts()
    if facts["is_there"] or not facts["addresses"]:
        yield lambda _: None
        return
    say(f"{dataset.name}: {facts['download_bytes'] / 1e6:,.1f} MB from {facts['addresses'][0]}")
    if not is_live():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=facts["download_bytes"])
        yield lambda n_bytes: progress.update(task, completed=n_bytes)
