"""`lstmlm data tokenizer train`: a tokenizer learnt by itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.data.tokenizer.show import print_summary
from lstmlm.cli.options import LEARNT_TOKENIZERS, JsonOption, corpus_place, new_file, refuse_same_file
from lstmlm.cli.render import say
from lstmlm.errors import as_command


def train(
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", parser=corpus_place, help="As data.corpus: a file, a folder or a name.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", parser=new_file, help="The tokenizer.json to write.")],
    tokenizer: Annotated[str, typer.Option(help=f"{LEARNT_TOKENIZERS}.")] = "bpe",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the section data. Can be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a tokenizer on the training split of a corpus, and write it for other trainings to share.

    They take it by data.tokenizer={name: file, path: FILE}; so does every tool that reads a tokenizer.json.

    Examples:

    lstmlm data tokenizer train texts/books.txt --output texts/bpe.json

    lstmlm data tokenizer train texts/books.txt --tokenizer unigram --set tokenizer.vocab_size=4000 -o texts/small.json
    """
    refuse_same_file(output, [Path(corpus)])
    from lstmlm.config.data import DataOptions
    from lstmlm.yaml.schema import from_overrides

    named = f"corpus={json.dumps(corpus, ensure_ascii=False)}"
    options = from_overrides(DataOptions, [named, f"tokenizer.name={tokenizer}", *(overrides or [])])
    from lstmlm.corpus.loading import training_text
    from lstmlm.corpus.tokenizers import train_tokenizer
    from lstmlm.files import write_atomically

    learnt = train_tokenizer(options.tokenizer, training_text(options).blocks())
    write_atomically(output, learnt.to_json().encode())
    print_summary(learnt, str(output), as_json=as_json)
    options_of_it = f"data.tokenizer={{name: file, path: {json.dumps(str(output), ensure_ascii=False)}}}"
    say(f"{output} is ready. Train with it: --set {as_command([options_of_it])}")
