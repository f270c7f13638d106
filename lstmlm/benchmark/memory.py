"""Peak memory of a piece of work, as the operating system counts it, in a process of its own.

A count of tensors would miss what libraries allocate for themselves. So a fresh process does the work once in a small
shape, which loads all code, then makes the operands and does it once in full; reported is how far its resident memory
rose above what it was with the operands in place, less the results, which any way of computing has to hold.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import torch

from lstmlm.benchmark.timing import Work
from lstmlm.checkpoint.environment import resident_bytes

Shape = TypeVar("Shape")


def peak_extra_bytes(prepare: Callable[[Shape], Work], shape: Shape, small_shape: Shape) -> int | None:
    """Return the peak of resident memory during the work that `prepare(shape)` returns, beyond operands and results.

    None on Windows, where Python's own library does not tell it. `prepare` makes the operands; it runs in the other
    process, so it must be importable there. The work of `small_shape` warms up.
    """
    # Spawned, not forked: a fork would start with the memory, and without the threads, of this process.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, prepare, shape, small_shape, torch.get_num_threads()).result()


def _measure(prepare: Callable[[Shape], Work], shape: Shape, small_shape: Shape, n_threads: int) -> int | None:
    torch.set_num_threads(n_threads)
    prepare(small_shape)()
    work = prepare(shape)
    before = resident_bytes("VmRSS")
    returned = work()
    results = returned.values() if isinstance(returned, Mapping) else ()
    n_returned = sum(result.nbytes for result in results if isinstance(result, torch.Tensor))
    peak = resident_bytes("VmHWM")
    return None if before is None or peak is None else max(0, peak - before - n_returned)
