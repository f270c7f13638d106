"""docs/reference/: commands, keys of configurations, exit statuses, events of trainings, as the code has them.

`python tests/reference.py` writes the pages; a test says when that is due.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from textwrap import fill
from typing import Any

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / "docs" / "reference"

WRITTEN = "<!-- written by tests/reference.py -->"

COMMANDS = """# Commands

What `--help` says, on one page. Results go to stdout, everything else to stderr; `--json` prints one JSON object on
stdout, of an error too: [exit-statuses.md](exit-statuses.md).
"""

CONFIGURATION = """# Configuration

Every key of a configuration file, as `lstmlm config explain KEY` has it. `data.bptt` is the key `bptt` in the section
`data`, and what `--set data.bptt=50` takes. A part that can be exchanged has a `name`, and the options below it:
`--set model.backbone.name=rnn` leaves behind what the file sets of options that `rnn` has not."""

KEY = "| key | type | default | meaning |"

EXIT_STATUSES = """# Exit statuses and codes of errors

`lstmlm explain CODE` shows the page of a code. On a terminal the code stands under the message. With `--json` an error
is an object on stdout: `{"error": {"code": "run-missing", "message": "…", "exit_status": 4}}`.
"""

EVENTS = """# Events

What happens in a training, an object a line: in `metrics.jsonl` of its run, and on stdout with `lstmlm train --json`.
Each has `event`, its name here, and `step`, after how many updates of the weights it happened. A number beyond a float
is null.
"""


def pages() -> dict[Path, str]:
    """Return the text of each page."""
    made = {"commands.md": commands(), "configuration.md": configuration()}
    made |= {"exit-statuses.md": exit_statuses(), "events.md": events()}
    return {FOLDER / name: "\n".join([WRITTEN, "", *lines]).rstrip() + "\n" for name, lines in made.items()}


def commands() -> Iterator[str]:
    """Every command: what it does, its arguments and options, examples."""
    yield COMMANDS
    found = dict(all_commands())
    yield from (f"- [lstmlm {name}](#lstmlm-{name.replace(' ', '-')}): {summary_of(found[name])}" for name in found)
    for name, command in found.items():
        description, examples = parts_of(command)
        flowing = (fill(paragraph, 120) for paragraph in description.split("\n\n"))
        yield from ("", f"## lstmlm {name}", "", "\n\n".join(flowing))
        rows = [row_of(parameter) for parameter in command.params if parameter.name != "help"]
        yield from table("| | default | |", rows)
        if examples:
            yield from ("", "```sh", *examples, "```")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield the words behind `lstmlm` that each command has, and the command."""
    import typer

    from lstmlm.cli import app

    def below(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{prefix}{name} ")
            else:
                yield prefix + name, command

    return below(typer.main.get_command(app), "")


def parts_of(command: Any) -> tuple[str, list[str]]:
    """Return what a command's help says, and the examples in it."""
    description, _, examples = inspect.cleandoc(command.help).partition("\n\nExample")
    return description, re.findall(r"(?:^ *|: )((?:[A-Z_]+=\w+ )?(?:lstmlm|torchrun) .+)$", examples, re.MULTILINE)


def summary_of(command: Any) -> str:
    """Return the first sentence of a command's help."""
    return re.split(r"(?<=\.)\s", " ".join(parts_of(command)[0].split("\n\n")[0].split()))[0]


def row_of(parameter: Any) -> str:
    """Return the line of an argument or option in a table."""
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        flags = [*parameter.opts, *parameter.secondary_opts]
        value = "" if parameter.is_flag else f" {parameter.metavar or type_of(parameter)}"
        name = ", ".join(f"`{flag}{value}`" for flag in flags)
    return f"| {cell(name)} | {cell(default_of(parameter))} | {cell(parameter.help or '')} |"


def type_of(parameter: Any) -> str:
    """Return what stands for an option's value."""
    described = parameter.type_descriptor
    names = {"int": "N", "float": "X", "Path": "PATH"}
    kind = getattr(described.annotation, "__args__", (described.annotation,))[0]
    return "|".join(map(str, described.choices)) if described.choices else names.get(kind.__name__, "TEXT")


def default_of(parameter: Any) -> str:
    """Return what an option is where it is left out."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.required:
        return "required"
    default = parameter.default
    if parameter.secondary_opts:
        default = parameter.opts[0] if default else parameter.secondary_opts[0]
    if isinstance(default, (list, tuple)):
        default = ", ".join(map(str, default))
    return "" if default is None or default is False or default == "" else f"`{default}`"


def configuration() -> Iterator[str]:
    """Every key of a configuration."""
    from lstmlm.config import RunConfig
    from lstmlm.yaml.explanation import explanations

    yield CONFIGURATION
    found = explanations(RunConfig)
    for section, keys in groupby(found, key=lambda one: one.key.split(".")[0]):
        yield from ("", f"## {section}")
        for place, of_place in groupby(keys, key=lambda one: one.key.rsplit(".", 1)[0] if one.parts else ""):
            if place:
                yield from exchangeable(list(of_place))
            else:
                yield from table(KEY, list(map(row_of_key, of_place)))


def exchangeable(keys: list[Any]) -> Iterator[str]:
    """The parts that can be at a place, and each option, with the parts that have it."""
    yield ""
    for one in keys:
        if one.is_choice:
            entry = f"- `{one.key}: {one.type}`: {one.meaning}"
            yield fill(entry, 120, subsequent_indent="  ", break_on_hyphens=False)
    rows = [row_of_key(one).replace(" | ", f" | {one.of} | ", 1) for one in keys if not one.is_choice]
    yield from table(KEY.replace(" | ", " | of | ", 1), rows)


def table(head: str, rows: list[str]) -> list[str]:
    """Return the lines of a table; none for no rows."""
    return ["", head, "|---" * (head.count("|") - 1) + "|", *rows] if rows else []


def row_of_key(one: Any) -> str:
    """Return the line of a key in a table."""
    has_none = one.type == "a section"
    default = "required" if one.is_required else "" if has_none else f"`{json.dumps(one.default, ensure_ascii=False)}`"
    return f"| `{one.key}` | {cell(one.type)} | {cell(default)} | {cell(one.meaning)} |"


def exit_statuses() -> Iterator[str]:
    """Every exit status and code of an error."""
    from lstmlm.cli.explain import error_pages

    yield EXIT_STATUSES
    rows = ["| 0 | | all is well |"]
    for page in sorted(error_pages().values(), key=lambda page: page.exit_status.zfill(3)):
        anchor = re.sub(r"[^\w -]", "", f"{page.code} ({page.exit_status})").lower().replace(" ", "-")
        link = f"[{page.code}](../../lstmlm/cli/errors.md#{anchor})"
        rows.append(f"| {page.exit_status} | {link} | {cell(page.happened)} |")
    yield from table("| status | code | what happened |", rows)[1:]


def events() -> Iterator[str]:
    """Every event of a training."""
    from pydantic import create_model

    from lstmlm.training.events import Event
    from lstmlm.yaml.explanation import explanations

    yield EVENTS
    for kind in Event.__subclasses__():
        yield from (f"## {kind.event}", "", inspect.getdoc(kind) or "")
        own: dict[str, Any] = {name: (of, ...) for name, of in kind.__annotations__.items() if name != "event"}
        meanings = docstrings_of(kind)
        found = explanations(create_model(kind.__name__, **own))
        rows = [f"| `{one.key}` | {one.type} | {cell(meanings.get(one.key, ''))} |" for one in found]
        yield from (*table("| key | type | meaning |", rows), "")


def docstrings_of(kind: type[Any]) -> dict[str, str]:
    """Return what stands in quotes below the fields of a class; None is what JSON calls null."""
    body = ast.parse(inspect.getsource(kind)).body[0].body
    return {
        field.target.id: text.value.value.replace("None", "null")
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def cell(text: str) -> str:
    """Return a text as a table of Markdown takes it."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()).replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
