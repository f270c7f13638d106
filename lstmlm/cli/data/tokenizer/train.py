"""`lstmlm data tokenizer train`: a tokenizer learnt by itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.data.tokenizer.show import print_summary
from lstmlm.cli.options import (
    LEARNT_TOKENIZERS,
    JsonOption,
    SetOption,
    corpus_config,
    corpus_place,
    new_file,
    refuse_same_file,
)
from lstmlm.cli.render import say
from lstmlm.errors import as_command


def train(
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", parser=corpus_place, help="As data.corpus: a file, a folder or a name.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", parser=new_file, help="The tokenizer.json to write.")],
    tokenizer: Annotated[str, typer.Option(help=f"{LEARNT_TOKENIZERS}.")] = "bpe",
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a tokenizer on the training split of a corpus, and write it for other trainings to share.

    They take it by data.tokenizer={name: file, path: FILE}; so does every tool that reads a tokenizer.json.

    Examples:

    lstmlm data tokenizer train texts/books.txt --output texts/bpe.json

    lstmlm data tokenizer train texts/books.txt --tokenizer unigram --set data.tokenizer.vocab_size=4000 -o small.json
    """
    refuse_same_file(output, [Path(corpus)])
    named = [f"data.corpus={json.dumps(corpus, ensure_ascii=False)}", f"data.tokenizer.name={tokenizer}"]
    options = corpus_config(None, [*named, *(overrides or [])], [corpus]).data
    from lstmlm.corpus.loading import training_text
    from lstmlm.corpus.tokenizers import train_tokenizer
    from lstmlm.files import write_atomically

    learnt = train_tokenizer(options.tokenizer, training_text(options).blocks())
    write_atomically(output, learnt.to_json().encode())
    print_summary(learnt, str(output), as_json=as_json)
    options_of_it = f"data.tokenizer={{name: file, path: {json.dumps(str(output), ensure_ascii=False)}}}"
    say(f"{output} is ready. Train with it: --set {as_command([options_of_it])}")
