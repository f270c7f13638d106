"""`lstmlm config explain`, `diff` and `list`: which options there are, and what differs between two choices of them."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.config.files import ConfigArgument
from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_json, print_table

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Row
    from lstmlm.yaml.explanation import Explanation


def explain(
    key: Annotated[
        str | None,
        typer.Argument(
            help="A key, such as data.bptt or only bptt, or a choice, such as mogrifier.",
            show_default="all, a line each",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a key of a configuration: meaning, type, range, default, and the keys below it.

    Examples:

    lstmlm config explain bptt

    lstmlm config explain optimizer.learning_rate

    lstmlm config explain mogrifier

    lstmlm config explain | less
    """
    from dataclasses import asdict

    from lstmlm.config import RunConfig
    from lstmlm.yaml.explanation import explain as explained
    from lstmlm.yaml.explanation import explanations

    every = explanations(RunConfig)
    found = explained(RunConfig, key) if key else every
    if as_json:
        print_json({"keys": [asdict(one) for one in found]})
    elif key:
        print("\n\n".join(map(_paragraph, found)))
        if below := [one for one in every if one.key.startswith(tuple(f"{section.key}." for section in found))]:
            choices = "\n".join(f"{one.type}: {one.meaning}" for one in below if one.is_choice)
            print(f"\n{choices}\n" if choices else "")
            print_table(_rows([one for one in below if not one.is_choice]))
    else:
        print_table(_rows(found))


def _rows(found: "list[Explanation]") -> "list[Row]":
    return [{"key": _title(one), "default": _written(one), "type": one.type} for one in found]


def _has_default(one: "Explanation") -> bool:
    return not one.is_choice and one.type != "a section"


def _title(one: "Explanation") -> str:
    return f"{one.key} ({one.of})" if one.parts else one.key


def _written(one: "Explanation") -> str:
    return "required" if one.is_required else _value(one.default) if _has_default(one) else ""


def _paragraph(one: "Explanation") -> str:
    default = f"Default: {_value(one.default)}" if _has_default(one) else ""
    lines = [f"{_title(one)}: {one.type}", one.meaning, "It has to be given." if one.is_required else default]
    return "\n".join(filter(None, lines))


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def diff(first: ConfigArgument, second: ConfigArgument, as_json: JsonOption = False) -> None:
    """Show in which keys two configurations differ, with everything that they leave open.

    Examples:

    lstmlm config diff quickstart ptb-cpu-10min

    lstmlm config diff mine.yaml runs/quickstart/config.yaml --json
    """
    from lstmlm.config.recipes import load_config
    from lstmlm.yaml.comparison import differences

    found = differences([load_config(config) for config in (first, second)])
    if as_json:
        rows = [{"key": key, "first": a, "second": b} for key, (a, b) in found.items()]
        print_json({"differences": rows})
    elif found:
        print_table([{"key": key, first: _value(a), f"{second} ": _value(b)} for key, (a, b) in found.items()])
    else:
        print(f"{first} and {second} say the same.")


def list_recipes(as_json: JsonOption = False) -> None:
    """List the configurations that come with lstmlm, with what each is for and what it reached.

    Examples:

    lstmlm config list

    lstmlm config list --json
    """
    from lstmlm.config.recipes import all_recipes, header_of

    found = {name: header_of(path) for name, path in all_recipes().items()}
    if as_json:
        print_json({"recipes": found})
        return
    import textwrap

    for name, header in found.items():
        print(name)
        print(textwrap.fill(header, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
