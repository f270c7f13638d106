"""Peak memory is what a process really takes: that of a known allocation."""

from collections.abc import Callable

import pytest
import torch
from machine import needs_resident_memory

from lstmlm.benchmark.memory import peak_extra_bytes

MEGABYTE = 1 << 20


def prepare(n_megabytes: int) -> Callable[[], object]:
    """Hold operands of a size, and work that takes as much again for a moment."""
    operands = torch.ones(n_megabytes * MEGABYTE // 4)
    return lambda: float((operands + 1)[0])


@needs_resident_memory
def test_the_peak_is_that_of_the_work_without_its_operands() -> None:
    # Counted in pages, beside what the interpreter itself takes: a few megabytes.
    assert peak_extra_bytes(prepare, 96, 1) / MEGABYTE == pytest.approx(96, abs=8)
