"""Memory that a step frees is there for the next one: the system need not clear its pages anew."""

import mmap
import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from lstmlm.__main__ import keep_freed_memory

def step():
    # Held together, and each smaller than what NumPy has the system put into huge pages.
    [np.ones(1 << 20, dtype=np.uint8) for _ in range(24)]

keep_freed_memory()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
N_PAGES_OF_TEN_STEPS = 10 * (24 << 20) // mmap.PAGESIZE


def n_page_faults(**variables: str) -> int:
    chosen = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", PROGRAM]
    return int(subprocess.run(command, env=chosen | variables, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_what_a_step_frees_is_kept_for_the_next_unless_the_user_has_chosen() -> None:
    assert n_page_faults() < 0.02 * N_PAGES_OF_TEN_STEPS
    assert n_page_faults(MALLOC_MMAP_THRESHOLD_="131072") > 0.9 * N_PAGES_OF_TEN_STEPS
    assert n_page_faults(GLIBC_TUNABLES="glibc.malloc.mmap_threshold=131072") > 0.9 * N_PAGES_OF_TEN_STEPS
