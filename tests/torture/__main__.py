"""`make torture`: everything that may happen to a run, as often as it takes to believe it. Counts go to stdout.

python -m torture                         all of them
python -m torture power_loss races        some
python -m torture matrix --part 1/4       a fourth of the cases, from each corner of the matrix
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: children are forked from this process

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torture import (
    cost,
    damage,
    disk,
    long_line,
    malformed,
    matrix,
    power_loss,
    races,
    random_kills,
    repetitions,
    system_calls,
)
from torture.tally import Part, Tally, Torture

TORTURES: dict[str, Torture] = {
    "system_calls_killed": system_calls.killed,
    "system_calls_refused": system_calls.refused,
    "random_kills": random_kills.chained,
    "full_disk": disk.full,
    "short_writes": disk.short_writes,
    "power_loss": power_loss.survived,
    "bit_flips": damage.flipped,
    "truncations": damage.truncated,
    "matrix": matrix.resumed,
    "malformed": malformed.refused,
    "races": races.started,
    "readers": races.read_while_saving,
    "repetitions": repetitions.repeated,
    "long_line": long_line.read,
    "cost": cost.of_checkpoints,
}


def main() -> None:
    """Run the tortures that are named; end with 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m torture", description="Torture runs and count what is lost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Which: {', '.join(TORTURES)}. Without: all.")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="Leave one out.")
    parser.add_argument("--part", type=_part, default=Part(), metavar="I/N", help="One of N parts of the cases.")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="Processes at a time.")
    arguments = parser.parse_args()
    unknown = {*arguments.names, *arguments.without} - set(TORTURES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Choose from: {', '.join(TORTURES)}.")
    torch.set_num_threads(1)
    n_losses = 0
    for name in arguments.names or TORTURES:
        if name in arguments.without:
            continue
        started = time.monotonic()
        tallies = _run(TORTURES[name], arguments.part.split(arguments.jobs))
        n_losses += sum(len(tally.losses) for tally in tallies)
        print("\n".join(map(str, tallies)), f"\n  {name}: {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(1 if n_losses else 0)


def _run(torture: Torture, parts: Sequence[Part]) -> list[Tally]:
    """Run a torture in a process for each part, so that what it leaves behind ends with it, and add up."""
    with ProcessPoolExecutor(len(parts), mp_context=get_context("fork")) as executor:
        (total, *others) = executor.map(torture, parts)
    for tallies in others:
        for tally, other in zip(total, tallies, strict=True):
            tally.add(other)
    return total


def _part(text: str) -> Part:
    index, _, n_parts = text.partition("/")
    if not (index.isdigit() and n_parts.isdigit() and 1 <= int(index) <= int(n_parts)):
        raise argparse.ArgumentTypeError(f"expected I/N such as 1/4, got {text!r}")
    return Part(int(index) - 1, int(n_parts))


if __name__ == "__main__":
    main()
