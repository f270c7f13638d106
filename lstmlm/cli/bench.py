"""`lstmlm bench`: our kernels beside torch's, on this machine."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.render import say

if TYPE_CHECKING:
    from rich.text import Text

    from lstmlm.benchmark.machine import Machine
    from lstmlm.benchmark.section import Row, Section

SLOWER = "▼"
LEGEND = (
    f"Medians of rounds in which all take turns; ± half the distance between the quartiles. {SLOWER} we are slower.\n"
    "of peak: share of the GEMM peak of that number format. extra MB: peak of memory beyond operands and results."
)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A few shapes and rounds: half a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure our kernels beside torch's on this machine; takes some minutes.

    Each is first compared with torch's results: what differs gets no figure.

    Examples:

    lstmlm bench --quick

    lstmlm bench --json > bench.json
    """
    from lstmlm.benchmark.machine import measure_machine
    from lstmlm.benchmark.plan import PLANS
    from lstmlm.benchmark.suite import SECTIONS

    plan = PLANS["quick" if quick else "full"]
    with _progress() as tell:
        tell("the limits of this machine")
        machine = measure_machine(plan)
    answers: dict[str, Any] = {"machine": machine.to_row()}
    if not as_json:
        _print_machine(machine)
    for measure_section in SECTIONS:
        with _progress() as tell:
            section = measure_section(plan, machine, tell)
        answers[section.name] = {"title": section.title, "rows": section.rows, **section.summary}
        if not as_json:
            _print_section(section)
    print(json.dumps(answers, ensure_ascii=False, allow_nan=False) if as_json else f"\n{LEGEND}")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being measured: in one line that vanishes on a terminal."""
    if not sys.stderr.isatty():
        yield lambda text: say(f"measuring {text}")
        return
    from rich.console import Console

    with Console(stderr=True).status("measuring") as status:
        yield lambda text: status.update(f"measuring {text}")


def _print_machine(machine: "Machine") -> None:
    versions = ", ".join(f"{package} {number}" for package, number in machine.versions.items())
    print(f"{versions}, {machine.n_threads} thread{'s' if machine.n_threads > 1 else ''}")
    print(f"{machine.cpu}, {machine.cpu_capability}; matrix products: {', '.join(machine.gemm_paths)}")
    peaks = ", ".join(f"{precision} {value:,.0f}" for precision, value in machine.gemm_gflops.items())
    print(f"GEMM peak: {peaks} GFLOP/s; memory read at {machine.read_gigabytes_per_second:.1f} GB/s")
    if not machine.has_bfloat16:
        print("This processor has no instructions for bfloat16.")


def _print_section(section: "Section") -> None:
    from rich.console import Console
    from rich.table import Table

    columns = [column for column in COLUMNS if any(column.key in row for row in section.rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column.header, justify="right", no_wrap=True)
    for row in section.rows:
        table.add_row(*(column.cell(row) for column in columns))
    print(f"\n{section.title}\n")
    Console(highlight=False).print(table)
    for row in section.rows:
        if "differs" in row:
            shape = ", ".join(f"{key} {value}" for key, value in row.items() if key != "differs")
            print(f"{shape}:\n  {row['differs']}: no figure")
    for line in _summary_lines(section.summary):
        print(line)


def _summary_lines(summary: "Row") -> Iterator[str]:
    for key, value in summary.items():
        precision, is_mean, other = key.partition("_times_as_fast_as_")
        if is_mean and isinstance(value, float):
            n_rows, n_slower = summary[f"{precision}_n_rows"], summary[f"{precision}_n_slower"]
            lost = f", slower in {n_slower}" if other.startswith("torch_float32") else ""
            other = other.removesuffix("_geometric_mean").replace("_", " ")
            yield f"{precision}: {value:.2f} times as fast as {other} (geometric mean of {n_rows}{lost})"


@dataclass(frozen=True)
class _Column:
    """A column of any table: shown where a row has its key."""

    header: str
    key: str
    format: "Callable[[Row, str], Text | str]"

    def cell(self, row: "Row") -> "Text | str":
        """Return the value of a row, "" where it has none."""
        return self.format(row, self.key) if row.get(self.key) is not None else ""


def _plain(row: "Row", key: str) -> str:
    return str(row[key])


def _count(row: "Row", key: str) -> str:
    return f"{_number(row, key):,.0f}"


def _percent(row: "Row", key: str) -> str:
    return f"{_number(row, key):.0%}"


def _megabytes(row: "Row", key: str) -> str:
    return f"{_number(row, key) / 1e6:,.0f}"


def _spread(row: "Row", key: str) -> str:
    value = _number(row, key)
    half = (_number(row, f"{key}_upper_quartile") - _number(row, f"{key}_lower_quartile")) / 2
    digits = max(0, 2 - len(f"{int(value)}")) if key.endswith("milliseconds") else 0
    shown = f"{value:.2f}" if key.startswith("times") else f"{value:,.{digits}f}"
    return f"{shown} ±{half / value:.0%}"


def _speed(row: "Row", key: str) -> "Text":
    from rich.text import Text

    is_slower = _number(row, key) < 1
    return Text(_spread(row, key) + (SLOWER if is_slower else " "), style="red" if is_slower else "green")


def _number(row: "Row", key: str) -> float:
    value = row[key]
    if not isinstance(value, int | float):
        raise TypeError(f"{key} is {value!r}, not a number")
    return value


COLUMNS = (
    _Column("tokens", "n_tokens", _count),
    _Column("text\ntokens", "n_scored_tokens", _count),
    _Column("hidden", "hidden_size", _plain),
    _Column("vocab", "vocab_size", _count),
    _Column("batch", "batch_size", _plain),
    _Column("bptt", "bptt", _plain),
    _Column("products", "precision", _plain),
    _Column("lstmlm\nms", "lstmlm_milliseconds", _spread),
    _Column("torch\nms", "torch_float32_milliseconds", _spread),
    _Column("lstmlm\ntokens/s", "lstmlm_tokens_per_second", _spread),
    _Column("torch\ntokens/s", "torch_float32_tokens_per_second", _spread),
    _Column("cells\ntokens/s", "reference_tokens_per_second", _spread),
    _Column("forward\ntokens/s", "training_forward_tokens_per_second", _spread),
    _Column("times as\nfast", "times_as_fast_as_torch_float32", _speed),
    _Column("as torch\nbfloat16", "times_as_fast_as_torch_bfloat16", _speed),
    _Column("times as\nfast", "times_as_fast_as_reference", _speed),
    _Column("times as\nfast", "times_as_fast_as_training_forward", _speed),
    _Column("of\npeak", "gemm_peak_share", _percent),
    _Column("extra\nMB", "lstmlm_peak_extra_bytes", _megabytes),
    _Column("torch\nMB", "torch_float32_peak_extra_bytes", _megabytes),
    _Column("memory\nbound", "bandwidth_bound_tokens_per_second", _count),
    _Column("of\nbound", "bandwidth_bound_share", _percent),
)
