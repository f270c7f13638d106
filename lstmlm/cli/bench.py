"""`lstmlm bench`: our kernels beside torch's, on this machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.render import print_json, working

if TYPE_CHECKING:
    from rich.text import Text

    from lstmlm.benchmark.machine import Machine
    from lstmlm.benchmark.section import Row, Section

SLOWER = "▼"
COLUMNS_OF_A_TABLE = 80
LEGEND = (
    f"Medians of rounds in which all take turns; ± half the distance between the quartiles. {SLOWER} we are slower.\n"
    "of peak: share of the GEMM peak of that number format. extra MB: peak of memory beyond operands and results."
)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A few shapes and rounds: half a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    isa: Annotated[
        str | None,
        typer.Option("--isa", help="Compute as a processor of this instruction set would: avx2 or sse4."),
    ] = None,
    no_compiler: Annotated[
        bool, typer.Option("--no-compiler", help="Compute as on a machine without a C++ compiler.")
    ] = False,
) -> None:
    """Measure our kernels beside torch's on this machine; takes some minutes.

    Each is first compared with torch's results: what differs gets no figure.

    Examples:

    lstmlm bench --quick

    lstmlm bench --json > bench.json

    lstmlm bench --isa avx2
    """
    if isa is not None or no_compiler:
        raise typer.Exit(_bench_restricted(isa, no_compiler, quick, as_json))
    from lstmlm.benchmark.machine import measure_machine
    from lstmlm.benchmark.plan import PLANS
    from lstmlm.benchmark.sections import SECTIONS

    plan = PLANS["quick" if quick else "full"]
    with working("measuring ") as tell:
        tell("the limits of this machine")
        machine = measure_machine(plan)
    answers: dict[str, Any] = {"machine": machine.to_row()}
    if not as_json:
        _print_machine(machine)
    for measure_section in SECTIONS:
        with working("measuring ") as tell:
            section = measure_section(plan, machine, tell)
        answers[section.name] = {"title": section.title, "rows": section.rows, **section.summary}
        if not as_json:
            _print_section(section)
    if as_json:
        print_json(answers)
    else:
        print(f"\n{LEGEND}")


def _bench_restricted(isa: str | None, no_compiler: bool, quick: bool, as_json: bool) -> int:
    """Run the same command in a process that is restricted, since libraries look at the processor as they load."""
    from lstmlm.benchmark.restriction import ISAS, restricted
    from lstmlm.errors import ConfigError, unknown

    if isa is not None and isa not in ISAS:
        raise ConfigError(f"--isa: {unknown('instruction set', isa, ISAS)}")
    options = [*(["--quick"] if quick else []), *(["--json"] if as_json else [])]
    with restricted(isa, no_compiler=no_compiler) as variables:
        command = [sys.executable, "-m", "lstmlm", "bench", *options]
        return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


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

    columns = [column for column in COLUMNS if any(column[1] in row for row in section.rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for header, _, _ in columns:
        table.add_column(header, justify="right", no_wrap=True)
    for row in section.rows:
        table.add_row(*("" if row.get(key) is None else form(row, key) for _, key, form in columns))
    print(f"\n{section.title}\n")
    console = Console(highlight=False)
    console.width = max(COLUMNS_OF_A_TABLE, console.width)  # on a narrow terminal lines are wrapped, and nothing is cut
    console.print(table)
    for row in section.rows:
        if "differs" in row:
            shape = ", ".join(f"{key} {value}" for key, value in row.items() if key != "differs")
            print(f"{shape}:\n  {row['differs']}: no figure")
    for line in _summary_lines(section.summary):
        print(line)


def _summary_lines(summary: "Row") -> Iterator[str]:
    for key, value in summary.items():
        precision, is_mean, other = key.partition("_times_as_fast_as_")
        if is_mean:
            n_rows, n_slower = summary[f"{precision}_n_rows"], summary[f"{precision}_n_slower"]
            lost = f", slower in {n_slower}" if other.startswith("torch_float32") else ""
            other = other.removesuffix("_geometric_mean").replace("_", " ")
            yield f"{precision}: {value:.2f} times as fast as {other} (geometric mean of {n_rows}{lost})"


def _plain(row: "Row", key: str) -> str:
    return str(row[key])


def _count(row: "Row", key: str) -> str:
    return f"{row[key]:,.0f}"


def _percent(row: "Row", key: str) -> str:
    return f"{row[key]:.0%}"


def _megabytes(row: "Row", key: str) -> str:
    return f"{row[key] / 1e6:,.0f}"


def _spread(row: "Row", key: str) -> str:
    value = row[key]
    half = (row[f"{key}_upper_quartile"] - row[f"{key}_lower_quartile"]) / 2
    digits = max(0, 2 - len(f"{int(value)}")) if key.endswith("milliseconds") else 0
    shown = f"{value:.2f}" if key.startswith("times") else f"{value:,.{digits}f}"
    return f"{shown} ±{half / value:.0%}"


def _speed(row: "Row", key: str) -> "Text":
    from rich.text import Text

    is_slower = row[key] < 1
    return Text(_spread(row, key) + (SLOWER if is_slower else " "), style="red" if is_slower else "green")


COLUMNS: "tuple[tuple[str, str, Callable[[Row, str], Text | str]], ...]" = (
    ("tokens", "n_tokens", _count),
    ("text\ntokens", "n_scored_tokens", _count),
    ("hidden", "hidden_size", _plain),
    ("vocab", "vocab_size", _count),
    ("batch", "batch_size", _plain),
    ("bptt", "bptt", _plain),
    ("products", "precision", _plain),
    ("lstmlm\nms", "lstmlm_milliseconds", _spread),
    ("torch\nms", "torch_float32_milliseconds", _spread),
    ("lstmlm\ntokens/s", "lstmlm_tokens_per_second", _spread),
    ("torch\ntokens/s", "torch_float32_tokens_per_second", _spread),
    ("cells\ntokens/s", "reference_tokens_per_second", _spread),
    ("forward\ntokens/s", "training_forward_tokens_per_second", _spread),
    ("alone\ntokens/s", "lstmlm_alone_tokens_per_second", _count),
    ("beside\ntokens/s", "lstmlm_beside_tokens_per_second", _count),
    ("share\nleft", "lstmlm_share_of_speed_alone", _percent),
    ("torch\nbeside", "torch_float32_beside_tokens_per_second", _count),
    ("share\nleft", "torch_float32_share_of_speed_alone", _percent),
    ("times as\nfast", "times_as_fast_as_torch_float32", _speed),
    ("as torch\nbfloat16", "times_as_fast_as_torch_bfloat16", _speed),
    ("times as\nfast", "times_as_fast_as_reference", _speed),
    ("times as\nfast", "times_as_fast_as_training_forward", _speed),
    ("of\npeak", "gemm_peak_share", _percent),
    ("extra\nMB", "lstmlm_peak_extra_bytes", _megabytes),
    ("torch\nMB", "torch_float32_peak_extra_bytes", _megabytes),
    ("memory\nbound", "bandwidth_bound_tokens_per_second", _count),
    ("of\nbound", "bandwidth_bound_share", _percent),
)
"""Header, key and form of the columns of all tables; a table has those of which one of its rows has the key."""
