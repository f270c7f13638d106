"""`lstmlm init`: a configuration for a text and this machine, each line with its reason."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import (
    SetOption,
    as_place,
    budget_overrides,
    corpus_config,
    corpus_place,
    name_or_path,
    new_file,
    refuse_same_file,
)
from lstmlm.cli.render import say, warn, working
from lstmlm.errors import ConfigError, as_command


def init(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", parser=name_or_path, help="A corpus as in data.corpus: a file, a folder, a pattern."
        ),
    ],
    budget: Annotated[str, typer.Option(metavar="TIME", help="How long training may take at most.")] = "10m",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", parser=new_file, help="The file to write.", show_default="TEXT's name with .yaml"
        ),
    ] = None,
    overrides: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
) -> None:
    """Write a configuration for a text: commented YAML, each choice with the counts that it rests on.

    The text is read and some steps are measured on this machine, which takes some seconds. How the text is to be read
    can be given: --set data.field=body, data.encoding=windows-1252, data.eos=document or data.holdout=0.1.

    Examples:

    lstmlm init texts/novel.txt

    lstmlm init texts/novel.txt --budget 2m -o texts/novel.yaml --force

    lstmlm init texts/essay.txt --set data.holdout=0.1
    """
    budget_overrides(budget)
    corpus = corpus_place(text)
    output = output or new_file(f"{_stem(corpus)}.yaml")
    refuse_same_file(output, [Path(corpus)])
    if output.exists() and not force:
        sets = [part for override in overrides or [] for part in ("--set", override)]
        again = as_command(["lstmlm", "init", text, "--budget", budget, *sets, "-o", str(output), "--force"])
        raise ConfigError(f"{output}: exists, and is not replaced. Name another file with -o, or replace it: {again}")
    data = corpus_config(None, overrides or [], [corpus]).data.model_copy(update={"corpus": corpus})

    from lstmlm.advice.advice import KEPT, advise
    from lstmlm.files import write_atomically

    for key in (override.partition("=")[0].strip() for override in overrides or []):
        if key not in [f"data.{name}" for name in KEPT]:
            raise ConfigError(f"--set {key}: is chosen by init. Change it in {output}, or give it to lstmlm train.")
    with working("") as tell:
        advice = advise(data, budget, tell)
    write_atomically(output, advice.yaml.encode())
    warn(advice.warnings)
    # A name without a suffix would be that of a recipe.
    command = as_command(["lstmlm", "train", "--config", str(output) if output.suffix else as_place(output)])
    say(f"{output} is written, with the reason of each choice. Train it: {command}")


def _stem(corpus: str) -> str:
    """The name of a file or folder without suffixes; of a pattern, that of the folder it begins in."""
    parts = [part for part in Path(corpus).absolute().parts if part != "/"]
    plain = [part for part in parts if not any(mark in part for mark in "*?[")]
    name = plain[-1] if plain else "text"
    return name.split(".")[0] or "text"
