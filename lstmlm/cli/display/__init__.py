"""What people see move or drawn: of a training a screen on a terminal, lines in a pipe, figures in files.

- `training_display` is what `train` shows; it reads events and nothing else, as `watch` does for other processes' runs.
- `screen`: the moving screen; `chart` draws its curves; `words`: events in plain lines.
- `writing`: the session of `generate --interactive`, which is about a text and no training.
- `report`: runs as a page, with `curves_svg`; `figures`: the one module that imports matplotlib.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from lstmlm.cli.display.screen import Screen, moving
from lstmlm.cli.display.words import PlainLines, describe
from lstmlm.cli.render import is_live, printable
from lstmlm.history.history import History

if TYPE_CHECKING:
    from lstmlm.training.events import Event


@contextmanager
def training_display(title: str, *, quiet: bool = False, as_json: bool = False) -> "Iterator[Callable[[Event], None]]":
    """Show a training on stderr: a screen that moves on a terminal, plain lines elsewhere, or nothing.

    As JSON, each event is a line on stdout instead, as metrics.jsonl has it.
    """
    if as_json:
        yield lambda event: print(json.dumps(event.as_record(), allow_nan=False), flush=True)
    elif quiet:
        yield lambda _: None
    elif is_live():
        history = History()
        with moving(Screen(history, title), Console(stderr=True, highlight=False, markup=False)) as shown:

            def take(event: "Event") -> None:
                history.add(event.as_record())
                if event.event in ("start", "plan", "length", "validation"):
                    shown.above(printable(describe(event.as_record())))
                shown.frame(now=event.event in ("validation", "end"))

            yield take
    else:
        lines = PlainLines()
        yield lambda event: lines.show(event.as_record())
