"""The command line: one command a file. A command imports inside its function what it works with.

So help and version need typer alone, a configuration error needs no torch, and all of them come at once.

`train`, `generate`, `next`, `serve`, `prove`, `bench`, `explain` are commands, and in `runs/` `watch`, `report`, `lab`,
`tune`, `audit`, in `config/` `init`. `runs`, `inspect`, `config`, `eval`, `data`, `export`, `import` (`imports`) have
commands of their own. They share `options`, parameters that several have, `render`, all that is printed, and `display`,
what moves or is drawn. A command parses, calls one function of the layers below, and renders. Nothing but `__main__`
imports from here.
"""

import os
import re
import sys
from inspect import getdoc
from typing import Annotated

import typer

from lstmlm.cli.bench import bench
from lstmlm.cli.config import config_app
from lstmlm.cli.config.init import init
from lstmlm.cli.data import data_app
from lstmlm.cli.eval import eval_app
from lstmlm.cli.explain import explain
from lstmlm.cli.export import export_app
from lstmlm.cli.generate import generate
from lstmlm.cli.imports import import_app
from lstmlm.cli.inspect import inspect_app
from lstmlm.cli.next import next_word
from lstmlm.cli.options import TextCommand
from lstmlm.cli.prove import prove
from lstmlm.cli.render import ErrorRenderingGroup, log_on_stderr
from lstmlm.cli.runs import runs_app
from lstmlm.cli.runs.audit import audit
from lstmlm.cli.runs.lab import lab
from lstmlm.cli.runs.report import report
from lstmlm.cli.runs.tune import tune
from lstmlm.cli.runs.watch import watch
from lstmlm.cli.serve import serve
from lstmlm.cli.train import train

app = typer.Typer(
    name="lstmlm",
    cls=ErrorRenderingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(init)
app.command()(train)
app.command(cls=TextCommand)(generate)
app.command("next", cls=TextCommand)(next_word)
app.add_typer(eval_app, name="eval")
app.command()(watch)
app.command()(report)
app.command()(lab)
app.command()(tune)
app.add_typer(runs_app, name="runs")
app.add_typer(inspect_app, name="inspect")
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")
app.add_typer(export_app, name="export")
app.add_typer(import_app, name="import")
app.command()(audit)
app.command()(serve)
app.command()(prove)
app.command()(bench)
app.command()(explain)


def _let_help_flow(commands: typer.Typer) -> None:
    """Join the lines of each paragraph of the commands' help: Typer does so with the first alone."""
    for command in commands.registered_commands:
        text = getdoc(command.callback) or ""
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _let_help_flow(group.typer_instance)


_let_help_flow(app)


def _print_version(wanted: bool | None) -> None:
    if wanted:
        from lstmlm import __version__

        print(f"lstmlm {__version__}")
        raise typer.Exit


@app.callback()
def _lstmlm(
    version: Annotated[
        bool | None, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """Train recurrent next-word language models, generate text and measure perplexity.

    lstmlm train --config quickstart

    lstmlm generate "The function returns"

    lstmlm eval perplexity
    """


def _open_what_is_closed() -> None:
    """Let each standard stream be one, as in `lstmlm train … >&-`: what is closed is read and written as nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end


def main() -> None:
    """Run the command line; the exit statuses are those of design.md, section 13."""
    _open_what_is_closed()
    # Text goes out as UTF-8 whatever the terminal's locale: a generated character must never end the program.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    with log_on_stderr():
        try:
            app()
        except KeyboardInterrupt:  # before a command took over
            sys.exit(130)
