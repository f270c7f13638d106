"""`lstmlm data tokenizer compare`: into how many tokens each of several tokenizers cuts a text."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.data.tokenizer.show import name_or_place
from lstmlm.cli.options import LEARNT_TOKENIZERS, JsonOption, SetOption, corpus_config, path
from lstmlm.cli.render import print_json, print_table, say
from lstmlm.errors import ConfigError


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE|RUN...",
            parser=name_or_place,
            help=f"{LEARNT_TOKENIZERS}, learnt on the text itself; or tokenizers that there are.",
            show_default=False,
        ),
    ],
    text: Annotated[Path, typer.Option(parser=path, help="The text to cut.")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare tokenizers on a text: tokens per word, bytes per token, unknown tokens, and whether the text is restored.

    unigram_bits_per_byte is what a model pays that knows how often each token occurs in the text and nothing else. On a
    short text it favours large vocabularies, which cost nothing in it. There is none where the text is not restored:
    what its tokens leave out, such as case or white space, nobody pays for.

    Examples:

    lstmlm data tokenizer compare word char bpe --text essay.txt

    lstmlm data tokenizer compare texts/bpe.json runs/quickstart --text essay.txt --json

    lstmlm data tokenizer compare char bpe --text texts/posts.jsonl --set data.field=body
    """
    from lstmlm.corpus.encoded_text import measure
    from lstmlm.corpus.reading.splits import text_of
    from lstmlm.corpus.tokenizers import find_tokenizer

    if any(override.startswith("data.tokenizer") for override in overrides or []):
        raise ConfigError(
            "--set data.tokenizer: has no effect. Name tokenizers, or learn one: lstmlm data tokenizer train"
        )
    source = text_of(text, corpus_config(None, overrides or [], [str(text)]).data)
    found = ((name, find_tokenizer(name, source.blocks, "NAME")) for name in names)
    rows = [{"tokenizer": name, **measure(tokenizer, source.blocks())} for name, (_, tokenizer) in found]
    if as_json:
        print_json({"text": str(text), "tokenizers": rows})
        return
    say(str(text))
    print_table([row | {"restores_text": "yes" if row["restores_text"] else "no"} for row in rows])
