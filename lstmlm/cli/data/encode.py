"""`lstmlm data encode`: a corpus as tokens, encoded once."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import SECONDS_BETWEEN_LINES, is_live, print_table, say
from lstmlm.errors import Interrupted

if TYPE_CHECKING:
    from lstmlm.corpus.encoded_text import EncodedText, TextEncoder
    from lstmlm.corpus.store.token_store import Observer
    from lstmlm.evaluation.report import Row


def encode(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Texts to train on, one after the other; folders and patterns too."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that becomes the store.")],
    tokenizer: Annotated[
        str,
        typer.Option(help="What to learn on the texts (word, char, byte, bpe, unigram), or a tokenizer.json or run."),
    ] = "word",
    valid: Annotated[Path | None, typer.Option(help="A text to validate on.")] = None,
    test: Annotated[Path | None, typer.Option(help="A text to test on.")] = None,
    field: Annotated[str, typer.Option(help="What holds the text of a record of JSON lines.")] = "text",
    as_json: JsonOption = False,
) -> None:
    """Encode texts into a token store: a folder from which `data.corpus` trains at once, whatever its size.

    What was interrupted goes on where it was. The store holds the tokenizer: it takes the place of the configuration's.

    Examples:

    lstmlm data encode texts/books.txt --valid texts/essay.txt --output texts/books-words

    lstmlm data encode texts/books.txt --tokenizer bpe --output texts/books-bpe

    lstmlm train --config quickstart --set data.corpus=texts/books-words --run-dir runs/books
    """
    from lstmlm.corpus.loading import encode_files
    from lstmlm.corpus.store.token_store import is_store

    held_out = {split: [path] for split, path in (("valid", valid), ("test", test)) if path}
    try:
        with _progress_display() as show:
            store = encode_files({"train": files, **held_out}, tokenizer, output, show, field=field)
    except Interrupted:
        if is_store(output):
            say(f"Interrupted. {output} is not finished: the same command goes on where it was.")
        raise
    rows = [_row(store.text(split, split=split)) for split in store.index.texts]
    if as_json:
        print(json.dumps({"store": str(output), "tokenizer": store.index.tokenizer.model_dump(), "texts": rows}))
    else:
        print_table(rows)
    path = output.as_posix()
    say(f"{output} is ready. Train from it: --set data.corpus={path if '/' in path else f'./{path}'}")


def _row(text: "EncodedText") -> "Row":
    counts = text.token_counts
    return {
        "split": text.split,
        "n_tokens": text.n_tokens,
        "n_types": None if counts is None else int((counts > 0).sum()),
        "n_unk": text.n_unk,
        "unk_rate": text.n_unk / text.n_tokens,
        "n_bytes": text.n_bytes,
        "bytes_per_token": text.n_bytes / text.n_tokens,
    }


@contextmanager
def _progress_display() -> "Iterator[Observer]":
    """Say how far it is on stderr: on a line that moves on a terminal, by a line now and then elsewhere."""
    if not is_live():
        yield _PlainLines().show
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda split, encoder: progress.update(task, description=_describe(split, encoder))


class _PlainLines:
    """A line now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, split: str, encoder: "TextEncoder") -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            say(_describe(split, encoder))


def _describe(split: str, encoder: "TextEncoder") -> str:
    return f"{split}: {encoder.n_bytes / 1e6:,.0f} MB read, {encoder.n_tokens:,} tokens"
