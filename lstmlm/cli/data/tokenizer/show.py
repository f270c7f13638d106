"""`lstmlm data tokenizer show`: what a tokenizer is, or what it makes of a text."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import LEARNT_TOKENIZERS, JsonOption, name_or_path, path, run_path
from lstmlm.cli.render import print_json, print_table

if TYPE_CHECKING:
    from lstmlm.corpus.tokenizers import Tokenizer
    from lstmlm.evaluation.report import Row


def name_or_place(text: str) -> str:
    """Read the name of a tokenizer that is learnt, or the path of one, for which a run below runs/ can be named."""
    below = run_path(text)
    is_run = below != path(text) and below.exists() and text not in re.findall(r"\w+", LEARNT_TOKENIZERS)
    return str(below) if is_run else name_or_path(text)


def show(
    place: Annotated[
        str,
        typer.Argument(metavar="FILE|RUN", parser=name_or_place, help="A tokenizer.json, SentencePiece model or run."),
    ],
    text: Annotated[
        str | None, typer.Argument(help="What to cut into tokens.", show_default="show the tokenizer")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a tokenizer is: its model, size, special and longest tokens; or the tokens of a text with their ids.

    Examples:

    lstmlm data tokenizer show texts/bpe.json

    lstmlm data tokenizer show runs/quickstart "The function returns" --json
    """
    from lstmlm.corpus.tokenizers import read_tokenizer

    _, tokenizer = read_tokenizer(Path(place))
    if text is None:
        print_summary(tokenizer, place, as_json=as_json)
        return
    tokens: list[Row] = [
        {"token": tokenizer.token(token_id), "id": token_id} for token_id in tokenizer.encode_prompt(text)
    ]
    if as_json:
        print_json({"tokenizer": place, "text": text, "tokens": tokens})
    elif tokens:
        # Quoted, because the space before a word belongs to its token.
        print_table([{**row, "token": f"'{row['token']}'"} for row in tokens])


def print_summary(tokenizer: "Tokenizer", name: str, *, as_json: bool) -> None:
    """Print what a tokenizer is on stdout."""
    from lstmlm.corpus.tokenizers.description import describe

    described = describe(tokenizer)
    if as_json:
        print_json({"tokenizer": name, **described})
        return
    rows: list[Row] = []
    for key, value in described.items():
        # Of a list each token has a line, and quotes, because the space before a word belongs to it.
        first, *others = [f"'{token}'" for token in value] or [""] if isinstance(value, list) else [value]
        rows += [{"": key, name: "" if first is None else str(first)}, *({"": "", name: token} for token in others)]
    print_table(rows)
