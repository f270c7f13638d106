"""`lstmlm data tokenizer show`: what a tokenizer is, or what it makes of a text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import JsonOption, path
from lstmlm.cli.render import print_table

if TYPE_CHECKING:
    from lstmlm.corpus.tokenizers import Tokenizer
    from lstmlm.evaluation.report import Row


def show(
    place: Annotated[
        Path, typer.Argument(metavar="FILE|RUN", parser=path, help="A tokenizer.json, SentencePiece model or run.")
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

    _, tokenizer = read_tokenizer(place)
    if text is None:
        print_summary(tokenizer, str(place), as_json=as_json)
        return
    tokens: list[Row] = [
        {"token": tokenizer.token(token_id), "id": token_id} for token_id in tokenizer.encode_prompt(text)
    ]
    if as_json:
        print(json.dumps({"tokenizer": str(place), "text": text, "tokens": tokens}, ensure_ascii=False))
    elif tokens:
        # Quoted, because the space before a word belongs to its token.
        print_table([{**row, "token": f"'{row['token']}'"} for row in tokens])


def print_summary(tokenizer: "Tokenizer", name: str, *, as_json: bool) -> None:
    """Print what a tokenizer is on stdout."""
    from lstmlm.corpus.tokenizers.description import describe

    described = describe(tokenizer)
    if as_json:
        print(json.dumps({"tokenizer": name, **described}, ensure_ascii=False))
        return
    rows: list[Row] = []
    for key, value in described.items():
        # Of a list each token has a line, and quotes, because the space before a word belongs to it.
        first, *others = [f"'{token}'" for token in value] or [""] if isinstance(value, list) else [value]
        rows += [{"": key, name: "" if first is None else str(first)}, *({"": "", name: token} for token in others)]
    print_table(rows)
