"""`lstmlm data encode`: a corpus as tokens, encoded once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.data.tokenizer.show import name_or_place
from lstmlm.cli.options import LEARNT_TOKENIZERS, EncodingOption, JsonOption, as_place, new_folder, path
from lstmlm.cli.render import SECONDS_BETWEEN_LINES, print_json, print_table, say, warn, working
from lstmlm.errors import Interrupted, as_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lstmlm.corpus.encoded_text import EncodedText, TextEncoder
    from lstmlm.corpus.tokenizers import Tokenizer


def encode(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", parser=path, help="Texts to train on, one after the other; folders and patterns too."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=new_folder, help="The folder that becomes the store.")
    ],
    tokenizer: Annotated[
        str,
        typer.Option(
            parser=name_or_place,
            help=f"What to learn on the texts ({LEARNT_TOKENIZERS}), or a tokenizer.json or run.",
        ),
    ] = "word",
    valid: Annotated[Path | None, typer.Option(parser=path, help="A text to validate on.")] = None,
    test: Annotated[Path | None, typer.Option(parser=path, help="A text to test on.")] = None,
    field: Annotated[str, typer.Option(help="What holds the text of a record of JSON lines.")] = "text",
    encoding: EncodingOption = "utf-8",
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
        with working("", SECONDS_BETWEEN_LINES) as tell:
            tell("reading")

            def observe(split: str, encoder: "TextEncoder") -> None:
                tell(f"{split}: {encoder.n_bytes / 1e6:,.0f} MB read, {encoder.n_tokens:,} tokens")

            texts_of = {"train": files, **held_out}
            store = encode_files(texts_of, tokenizer, output, observe, field=field, encoding=encoding)
    except Interrupted:
        if is_store(output):
            say(f"Interrupted. {output} is not finished: the same command goes on where it was.")
        raise
    texts = [store.text(split, split=split) for split in store.index.texts]
    rows = [_row(text) for text in texts]
    warn(_written_tokens(texts, store.load_tokenizer()))
    if as_json:
        print_json({"store": str(output), "tokenizer": store.index.tokenizer.model_dump(), "texts": rows})
    else:
        print_table(rows)
    say(f"{output} is ready. Train from it: --set {as_command([f'data.corpus={as_place(output)}'])}")


def _written_tokens(texts: "Sequence[EncodedText]", tokenizer: "Tokenizer") -> "Iterator[str]":
    """Say which tokens the texts themselves have as words."""
    for text in texts:
        n_unk, n_ends = text.n_unk - text.n_oov, text.n_written_ends(tokenizer.start_id)
        for token_id, n in ((tokenizer.unk_id or 0, n_unk), (tokenizer.start_id, n_ends)):
            if n:
                yield f"{text.split}: says {tokenizer.token(token_id)} {n:,} times, which is read as that token."


def _row(text: "EncodedText") -> dict[str, Any]:
    counts = text.token_counts
    return {
        "split": text.split,
        "n_tokens": text.n_tokens,
        "n_types": None if counts is None else int((counts > 0).sum()),
        "n_unk": text.n_unk,
        "unk_rate": text.unk_rate,
        "n_bytes": text.n_bytes,
        "bytes_per_token": text.n_bytes / text.n_tokens,
    }
