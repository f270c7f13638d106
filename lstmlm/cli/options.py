"""Options that several commands share, so that they read and mean the same everywhere."""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lstmlm.errors import ConfigError, MissingExtraError, OutputPathError, as_command

if TYPE_CHECKING:
    from lstmlm.config import RunConfig


def encoding_name(text: str) -> str:
    """Read the name of an encoding."""
    from lstmlm.config.options import known_encoding

    try:
        return known_encoding(text)
    except ValueError as error:
        raise ConfigError(f"--encoding: {error}") from None


def typed_text(text: str) -> str:
    """Read a text by the rules of a file: without a byte-order mark, each line's end a newline."""
    from lstmlm.corpus.reading.decoding import normalized

    return normalized(text)


def name_or_path(text: str) -> str:
    """Read a name or a path, in which `~` and `${NAME}` are expanded also where no shell has done so."""
    from lstmlm.config.options import expanded

    if not text:  # which pathlib takes for the working directory
        raise ConfigError("'': is no name or path. A variable may be empty, as in --run \"$RUN\". Give one.")
    try:
        return expanded(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def corpus_place(text: str) -> str:
    """Read a corpus: its name, or a path, which needs no slash where something else lies there."""
    from lstmlm.corpus.named import DATASETS

    found = name_or_path(text)
    with suppress(OSError):  # which is told where the corpus is read
        return found if "/" in found or found in DATASETS or not Path(found).exists() else f"./{found}"
    return found


def path(text: str) -> Path:
    """Read a path; see `name_or_path`."""
    return Path(name_or_path(text))


def run_path(text: str) -> Path:
    """Read a run directory, or the name of one below runs/, as `lstmlm runs` takes it."""
    found = path(text)
    below = Path("runs") / found
    is_model = any((found / name).is_file() for name in ("format", "config.json"))  # a run, or an exported one
    is_new_name = not found.exists() and len(found.parts) == 1
    return below if found.parts and not is_model and (below.exists() or is_new_name) else found


def as_place(path: Path) -> str:
    """Write a path so that it is not taken for a name that comes with lstmlm: of a corpus, or of a recipe."""
    return path.as_posix() if "/" in path.as_posix() else f"./{path}"


def new_path(text: str) -> Path:
    """Read the path of something to write, and refuse at once what could not be written at the end."""
    found = path(text)
    try:
        is_there = found.parent.is_dir()
        found.exists()  # which asks whether it may be known
    except OSError as error:
        raise OutputPathError(f"{found}: cannot be written ({error.strerror}). Choose another place.") from None
    _refuse_below_files(found, found.parents)
    if not is_there:
        command = as_command(["mkdir", "-p", str(found.parent)])
        raise OutputPathError(f"{found}: cannot be written, as there is no folder {found.parent}. Make it: {command}")
    return found


def new_folder(text: str) -> Path:
    """Read the path of a folder to write into, which is made where there is none; see `new_path`."""
    found = path(text)
    with suppress(OSError):  # which is told where it is made
        if found.is_symlink() and not found.exists():
            raise OutputPathError(f"{found}: cannot be written, as it is a link to nothing. Choose another place.")
        _refuse_below_files(found, [found, *found.parents])
    return found


def _refuse_below_files(found: Path, folders: Iterable[Path]) -> None:
    nearest = next((folder for folder in folders if folder.exists()), None)
    if nearest is not None and not nearest.is_dir():
        raise OutputPathError(f"{found}: cannot be written, as {nearest} is a file. Choose another place.")


def new_file(text: str) -> Path:
    """Read the path of a file to write; see `new_path`."""
    found = new_path(text)
    if found.is_dir():
        raise OutputPathError(f"{found}: is a folder. Name a file in it.")
    return found


def unused_path(text: str) -> Path:
    """Read the path of something to write that never replaces anything; see `new_path`."""
    found = new_path(text)
    if found.exists() or found.is_symlink():
        raise OutputPathError(f"{found}: exists, and is not replaced. Name another place, or remove it first.")
    return found


def refuse_same_file(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Refuse to write over a file that is read."""
    if output is None or not output.exists():
        return
    for given in inputs:
        if given is not None and given.exists() and output.samefile(given):
            raise OutputPathError(f"{output}: is what the command reads. Name another file to write.")


LEARNT_TOKENIZERS = "word, char, byte, bpe or unigram"

CONFIG_HELP = "YAML file that describes the run, or the name of a shipped one, such as quickstart."

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the configuration. Can be repeated."),
]


def _config(advice: str, default: str) -> Any:
    return typer.Option("--config", "-c", metavar="CONFIG", parser=name_or_path, help=advice, show_default=default)


ConfigOption = Annotated[str | None, _config(CONFIG_HELP, "with --resume, the run's own")]

LabConfigOption = Annotated[str | None, _config(CONFIG_HELP, "quickstart")]

CorpusConfigOption = Annotated[
    str | None,
    _config(f"{CONFIG_HELP} Its data.corpus is read where no other is named.", "the default of every option"),
]

RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        parser=run_path,
        help="Run directory, its name below runs/, or what export huggingface has made.",
        show_default="the newest under runs/",
    ),
]

JoinOption = Annotated[
    str | None,
    typer.Option(
        "--join",
        metavar="TEXT",
        help="What stands between words that are given one by one.",
        show_default="a blank where the training text has some",
    ),
]

SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="train, valid or test.", show_default="test where there is one, else valid"),
]

TextOption = Annotated[
    Path | None, typer.Option("--text", parser=path, help="A text file in place of a split; - is standard input.")
]

NormalizeOption = Annotated[
    str | None,
    typer.Option(
        "--normalize", help="Write sentences as a corpus does: lowercase, ptb or wikitext.", show_default=False
    ),
]

EncodingOption = Annotated[
    str, typer.Option("--encoding", parser=encoding_name, help="How the characters of the files are written.")
]

CorpusArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CORPUS…",
        parser=corpus_place,
        help="A corpus as in data.corpus, or text files, each read as a whole.",
        show_default="data.corpus of --config",
    ),
]


def corpus_config(config: str | None, overrides: Sequence[str], corpora: Sequence[str]) -> "RunConfig":
    """Read a configuration for the sake of its data; without a file all is as it is by default, but for `overrides`.

    Raises:
        ConfigError: something is wrong in it, or it is there to say which corpus and does not.
    """
    from lstmlm.config import RunConfig
    from lstmlm.config.recipes import load_config
    from lstmlm.yaml.schema import from_overrides

    if config is not None:
        return load_config(config, overrides)
    if not corpora:
        raise ConfigError("CORPUS: is missing. Name a corpus, or a configuration that does: --config CONFIG")
    return from_overrides(RunConfig, ["data.corpus=./", "training.n_epochs=1", *overrides])


ProveOption = Annotated[
    bool, typer.Option("--prove", help="Check that nothing but what came before has made the figure: docs/trust.md.")
]

SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Draws the positions of a proof.")]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class TextCommand(TyperCommand):
    """A command that takes a text, which may begin with a dash: `lstmlm generate "- I don't know"`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put texts that begin with a dash last, after the `--` that tells them from options.

        Such a text has a blank or a number after its dash, and no option stands before it that takes a value; or it
        stands after a `--`, where what follows it are options again.
        """
        if "--" in args:
            end = args.index("--")
            n_texts = sum(parameter.param_type_name == "argument" for parameter in self.params)
            options, texts = args[:end] + args[end + 1 + n_texts :], args[end + 1 : end + 1 + n_texts]
        else:
            valued = {name for option in self.params for name in option.opts if not getattr(option, "is_flag", True)}
            words = list(zip(args, ["", *args], strict=False))
            is_text = [re.match(r"-([0-9]|[^=]*\s)", word) and before not in valued for word, before in words]
            options = [word for word, is_one in zip(args, is_text, strict=True) if not is_one]
            texts = [word for word, is_one in zip(args, is_text, strict=True) if is_one]
        return super().parse_args(ctx, [*options, "--", *texts] if texts else options)


def refuse_beside(flag: str, others: Mapping[str, object]) -> None:
    """Refuse the first of `others`, by name, that is given together with `flag`."""
    for other, given in others.items():
        if given:
            raise ConfigError(f"{flag}: cannot be combined with {other}. Give one of them.")


def refuse_two_texts(split: str | None, text: Path | None) -> None:
    """Refuse a split together with a text file, for a command that takes one of them."""
    if text is not None:
        refuse_beside("--text", {f"--split {split}": split is not None})


BudgetOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long it may take, such as 90s or 1h30m; replaces n_epochs or n_steps."),
]


def budget_overrides(budget: str | None) -> list[str]:
    """Return the overrides that make `budget` the length of the training."""
    if budget is None:
        return []
    from lstmlm.config.duration import parse_duration

    try:
        parse_duration(budget)
    except ValueError as error:
        raise ConfigError(f"--budget: {error}") from None
    return ["training.n_epochs=null", "training.n_steps=null", f"training.budget={budget}"]


class ListingGroup(TyperGroup):
    """A group of commands that lists where none is named: `lstmlm runs --json` is `lstmlm runs list --json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command that was left out in its place."""
        is_left_out = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if is_left_out else args)


def require_extra(extra: str, *packages: str) -> None:
    """Refuse at once what needs an extra that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"{package}: is not installed. Install it: pip install 'lstmlm[{extra}]'")


_FIGURE_FORMATS = (".png", ".svg")


def drawable_file(text: str) -> Path:
    """Read the path of a figure, and refuse at once what could not be drawn at the end."""
    plot = new_file(text)
    if plot.suffix.lower() not in _FIGURE_FORMATS:
        raise ConfigError(f"--plot: {plot} is no figure that can be drawn. End its name in .png or .svg.")
    require_extra("plot", "matplotlib")
    return plot


PlotOption = Annotated[
    Path | None, typer.Option("--plot", parser=drawable_file, metavar="FILE", help="Draw a figure: .png or .svg.")
]
