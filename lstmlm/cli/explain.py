"""`lstmlm explain`: what an error is, why it comes, and what to do. The pages are errors.md, beside this file."""

import re
import sys
from importlib.resources import files
from typing import Annotated, NamedTuple

import typer

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_json, print_table
from lstmlm.errors import ConfigError, unknown

_PAGE = re.compile(r"^## ([a-z-]+) \(([^)\n]+)\)\n\n(.*?)\s*(?=^## |\Z)", re.DOTALL | re.MULTILINE)

SIGNALS = [str(128 + number) for number in range(1, 65)]
"""Statuses that say by which signal a command was ended."""


class ErrorPage(NamedTuple):
    """What there is to know of a kind of error."""

    code: str
    exit_status: str
    """A number, or how it comes about."""

    text: str
    """Markdown: what happened, why, what to do, an example."""

    @property
    def number(self) -> int | None:
        """The exit status; None where it depends on a signal."""
        return int(self.exit_status) if self.exit_status.isdecimal() else None

    @property
    def happened(self) -> str:
        """Its first sentence."""
        return re.split(r"(?<=\.)\s", " ".join(self.text.split("\n\n")[0].split()))[0]


def error_pages() -> dict[str, ErrorPage]:
    """Return the page of each code."""
    content = files("lstmlm.cli").joinpath("errors.md").read_text("utf-8")
    return {code: ErrorPage(code, status, text) for code, status, text in _PAGE.findall(content)}


def explain(
    code: Annotated[
        str | None,
        typer.Argument(help="A code, such as run-missing, or an exit status, such as 4.", show_default="lists them"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain an error: what happened, why, what to do, an example.

    On a terminal the code stands under the message, in JSON it is in the error.

    Examples:

    lstmlm explain

    lstmlm explain run-missing

    lstmlm explain 3
    """
    known = error_pages()
    found = list(known.values()) if code is None else _asked_for(code, known)
    if as_json:
        rows = [page._asdict() | {"exit_status": page.number, "happened": page.happened} for page in found]
        print_json({"errors": rows})
    elif not found:
        print("All is well.")
    elif len(found) > 1:
        print_table([{"code": page.code, "status": page.exit_status, "what": page.happened} for page in found])
    else:
        _show(found[0])


def _asked_for(code: str, known: dict[str, ErrorPage]) -> list[ErrorPage]:
    """Return the pages of a code or an exit status; of 0, by which nothing is wrong, none."""
    code = "interrupted" if code in SIGNALS else code
    found = [page for page in known.values() if code in (page.code, page.exit_status)]
    if not found and code != "0":
        raise ConfigError(f"CODE: {unknown('code', code, known)}")
    return found


def _show(page: ErrorPage) -> None:
    text = f"## {page.code} (exit status {page.exit_status})\n\n{page.text}"
    if not sys.stdout.isatty():
        print(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
