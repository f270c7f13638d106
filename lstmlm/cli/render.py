"""What people see: errors, the log, progress and tables. A user's error becomes an exit status here.

A command that goes on past bad rows ends with that of DataError itself.
"""

import json
import logging
import math
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from lstmlm.errors import REMEDIES, Interrupted, LstmlmError, is_out_of_memory, refusal
from lstmlm.metrics import finite

if TYPE_CHECKING:
    from lstmlm.evaluation.proof.checks import Prover
    from lstmlm.evaluation.report import Report, Row, Value

AS_JSON = "lstmlm.as_json"
"""Whether a result is asked for as JSON, in the context of a command."""

FAILED_PROOF = 1
OUTPUT_LOST = 1
OUT_OF_MEMORY = 5
SECONDS_BETWEEN_LINES = 10.0
"""Without a terminal, progress is a plain line at most this often."""

SMALLEST_DECIMAL = 0.01
"""Of a smaller number four decimals would show less than three digits."""

LARGEST_DECIMAL = 1e9
"""A larger number is shown by its magnitude, such as a perplexity per word of a text without blanks."""


class ErrorRenderingGroup(TyperGroup):
    """Shows a user's error as one message and ends with its exit status; a bug keeps its traceback.

    With --json the error is an object on stdout as well, so that a program always reads one there.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note whether a program reads the result."""
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command line to its end, and write out what it printed while a failure can still be told."""
        status: Any = 0
        try:
            try:
                return super().main(*arguments, **options)
            except SystemExit as end:
                if isinstance(end.__context__, BrokenPipeError):  # Typer and Rich make it 1
                    raise end.__context__ from None
                status = end.code
                print(end="", flush=True)
                raise
        except OSError as error:
            if error.filename is not None or error.errno is None:  # the latter: a library that cannot be loaded
                raise
            lost = _without_output(error)
            sys.exit(status or lost)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        from lstmlm.training.interruption import Interruption

        fail = partial(_fail, as_json=ctx.meta[AS_JSON])
        try:
            with Interruption().active(), _refusals_explained():
                return super().invoke(ctx)
        except typer.TyperException as error:  # which Typer shows itself
            if "unexpected extra argument" in error.message and _takes_run(getattr(error, "ctx", None)):
                error.message += ". A run is named with --run."
            if ctx.meta[AS_JSON]:
                _print_error(error.format_message(), error.exit_code, "usage")
            raise
        except LstmlmError as error:
            fail(str(error), error.exit_status, error.code)
        except (KeyboardInterrupt, typer.Abort) as stop:
            # A question that a signal has ended is aborted.
            cause = stop.__context__ if isinstance(stop, typer.Abort) else stop
            if not isinstance(cause, KeyboardInterrupt):
                raise
            number = cause.signal_number if isinstance(cause, Interrupted) else signal.SIGINT
            if ctx.meta[AS_JSON] and speaks():
                _print_error(f"interrupted by {signal.Signals(number).name}.", 128 + number, "interrupted")
            raise typer.Exit(128 + number) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            fail(_MEMORY_ADVICE, OUT_OF_MEMORY, "out-of-memory")


def _takes_run(context: Any) -> bool:
    """Whether a command has no arguments but --run; another one's may want quotes."""
    parameters = context.command.params if context else []
    has_arguments = any(parameter.param_type_name == "argument" for parameter in parameters)
    return not has_arguments and any("--run" in parameter.opts for parameter in parameters)


_MEMORY_ADVICE = "out of memory. Lower data.batch_size, data.bptt, model.backbone.hidden_size or the vocabulary."


@contextmanager
def _refusals_explained() -> Iterator[None]:
    """Turn what the operating system refuses to whoever may not, such as other people's files, into a user's error."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno not in REMEDIES:
            raise
        raise refusal(Path(error.filename), "used", error) from error


def _without_output(error: OSError) -> int:
    """Go on without stdout, which takes nothing more, and return the exit status that this is worth."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # the reader has seen enough, as in `lstmlm generate … | head`
        return 0
    _tell_failure(f"cannot write the output: {error.strerror}.", "output-closed")
    return OUTPUT_LOST


def speaks() -> bool:
    """Whether this is the process that tells the user things, where torchrun has started several."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def _fail(message: str, status: int, code: str, *, as_json: bool = False) -> None:
    _tell_failure(message, code)
    if as_json and speaks():
        _print_error(message, status, code)
    raise typer.Exit(status) from None


def _tell_failure(message: str, code: str) -> None:
    say(message if speaks() else f"rank {os.environ['RANK']}: {message}")
    point_to_page(code)


def point_to_page(code: str) -> None:
    """Tell a person at a terminal where more about an error stands; logs and programs get its message alone."""
    if is_live():
        say(f"More: lstmlm explain {code}")


def _print_error(message: str, status: int, code: str) -> None:
    error = {"code": code, "message": message, "exit_status": status}
    with suppress(OSError):  # the status stays that of the error
        print(json.dumps({"error": error}, ensure_ascii=False))


def say(message: str) -> None:
    """Tell the person at the terminal something that is not a result."""
    # Nobody may be listening any more, as in `lstmlm train … 2>&1 | head`: no reason to end a training.
    with suppress(OSError):
        print(printable(message), file=sys.stderr, flush=True)


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as one JSON object on a line, letters as they are; a number that JSON does not have is null.

    What is no character, as names on a disk may hold, is escaped, so that a program can get it back.
    """
    text = json.dumps(finite(result), ensure_ascii=False, allow_nan=False)
    print(re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text), flush=True)


def warn(warnings: Iterable[str]) -> None:
    """Tell what will happen otherwise than someone may think."""
    for warning in warnings:
        say(f"warning: {warning}")


def warn_of_unknown(pieces: Sequence[str]) -> None:
    """Tell which pieces of a text the model reads as `<unk>`, or not at all, if there are any."""
    from lstmlm.corpus.tokenizers.tokenizer import warnings_of_unknown

    warn(warnings_of_unknown(pieces))


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Say what the package logs from INFO up, such as why it waits; a library leaves that to its user."""
    logger, handler = logging.getLogger("lstmlm"), _SayingHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if speaks() else logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _SayingHandler(logging.Handler):
    """Says each record, a warning as one; the same words only once."""

    def __init__(self) -> None:
        super().__init__()
        self._said = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message in self._said:
            return
        self._said.add(message)
        if record.levelno >= logging.WARNING:
            warn([message])
        else:
            say(message)


_ESCAPED = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control codes, what turns the direction of what follows, and halves of characters."""


def printable(text: str, kept: str = "\n\t") -> str:
    """Escape control codes but for `kept`, which a corpus or a model may hold, so that no terminal interprets them."""
    return _ESCAPED.sub(
        lambda found: found[0] if found[0] in kept else found[0].encode("unicode_escape").decode(), text
    )


def result_text(text: str) -> str:
    """Return `text` as it goes to stdout: escaped for a terminal, unchanged for a file or pipe."""
    return printable(text) if sys.stdout.isatty() else text


def print_report(report: "Report", *, as_json: bool, shown: "Mapping[str, Value] | None" = None) -> None:
    """Print the result of an evaluation on stdout; for people its rows and what is `shown`, by default all values."""
    if as_json:
        print(report.to_json())
        return
    values = report.values if shown is None else shown
    if report.rows:
        print_table(report.rows)
    if report.rows and values:
        print()
    width = max(map(len, values), default=0)
    for name, value in values.items():
        if value is not None and value == value:  # not a number: the text has no such units
            print(f"{name:<{width}}  {result_text(_format(value))}")


def print_proof(proof: "Prover | None", *, on_stderr: bool) -> None:
    """Show a proof, if there is one, a line a check; exit with `FAILED_PROOF` where one has failed."""
    for check in proof.checks if proof else ():
        if on_stderr:
            say(str(check))
        else:
            print(result_text(str(check)))
    if proof and not proof.passed:
        point_to_page("proof-failed")
        raise typer.Exit(FAILED_PROOF)


def filled(rows: "Sequence[Row]") -> "list[Row]":
    """Return rows without the columns in which nothing stands."""
    names = [name for row in rows[:1] for name in row if any(row[name] not in (None, "") for row in rows)]
    return [{name: row[name] for name in names} for row in rows]


def is_numeric(cells: Iterable[str]) -> bool:
    """Whether all that a column holds are numbers, which stand to the right."""
    return all(map(_NUMBER.fullmatch, cells))


def print_table(rows: "Sequence[Row]") -> None:
    """Print rows under the names of their columns on stdout, numbers to the right; a column of nothing is left out.

    On a terminal that is too narrow, cells of words are put on several lines; where that does not help, each row is a
    block, with a line for each column.
    """
    from rich.cells import cell_len

    rows = filled(rows)
    columns = {
        name: [name, *("" if row[name] is None else printable(_format(row[name]), kept="") for row in rows)]
        for name in (rows[0] if rows else ())
    }
    is_number = [is_numeric(cells[1:]) for cells in columns.values()]
    widths = [max(map(cell_len, cells)) for cells in columns.values()]
    if sys.stdout.isatty():
        least = [max(cell_len(word) for cell in cells for word in cell.split(" ")) for cells in columns.values()]
        room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
        if sum(least) > room:
            _print_blocks(columns)
            return
        widths = _narrowed(widths, least, room)
    for line in zip(*columns.values(), strict=True):
        for cells in zip_longest(*map(_folded, line, widths), fillvalue=""):
            padded = []
            for cell, width, to_the_right in zip(cells, widths, is_number, strict=True):
                blanks = " " * (width - cell_len(cell))  # a terminal may show more or fewer cells than characters
                padded.append(blanks + cell if to_the_right else cell + blanks)
            print("  ".join(padded).rstrip())


def _print_blocks(columns: Mapping[str, Sequence[str]]) -> None:
    """Print each row as lines, one for each column in which it has something, the first of them further out."""
    from rich.cells import set_cell_size

    width = max(map(len, columns))
    for place in range(1, len(next(iter(columns.values())))):
        for number, (name, cells) in enumerate(columns.items()):
            if cells[place]:
                print(f"{'  ' if number else ''}{set_cell_size(name, width + 2 * (not number))}  {cells[place]}")


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns what is too much, none becoming narrower than its least, for which there is room."""
    found = list(widths)
    while sum(found) > room:
        found[max(range(len(found)), key=lambda place: (found[place] > least[place], found[place]))] -= 1
    return found


def _folded(cell: str, width: int) -> list[str]:
    """Return the lines of a cell, cut between words where it is too wide."""
    from rich.cells import cell_len

    if cell_len(cell) <= width:
        return [cell]
    lines = [""]
    for word in cell.split(" "):
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


_NUMBER = re.compile(r"([-+]?[\d,]+(\.\d+)?(e[-+]?\d+)?%?|-|inf|)")
"""A cell that stands to the right of its column."""


def _format(value: "Value") -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isnan(value):  # a single line says nothing about others
            return "-"
        is_readable = value == 0 or SMALLEST_DECIMAL <= abs(value) < LARGEST_DECIMAL
        return f"{value:,.4f}" if is_readable else f"{value:.3g}"
    return str(value)


def is_live() -> bool:
    """Whether stderr is a terminal that a line can move on."""
    is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")  # as Rich has it
    return speaks() and sys.stderr.isatty() and not is_dumb and "CI" not in os.environ


@contextmanager
def working(verb: str, seconds_between: float = 0) -> Iterator[Callable[[str], None]]:
    """Let a command say what it is at on stderr: on a line that moves on a terminal, now and then a line elsewhere."""
    if not is_live():
        last = time.monotonic()

        def show(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= seconds_between:
                last = time.monotonic()
                say(f"{verb}{text}")

        yield show
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(verb, total=None)
        yield lambda text: progress.update(task, description=f"{verb}{text}")


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
