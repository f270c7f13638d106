"""A small sample of each torture; `make torture` runs all of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from machine import needs_mount, needs_strace

TESTS = Path(__file__).parent.parent
BY_STRACE, BY_MOUNT = ["system_calls_killed", "system_calls_refused"], ["full_disk"]
TOO_LONG = ["cost", "long_line"]
WITHOUT_THESE = [word for name in (*BY_STRACE, *BY_MOUNT, *TOO_LONG) for word in ("--without", name)]


@pytest.mark.parametrize(
    ("names", "n_counts"),
    [
        pytest.param(BY_STRACE, 6, marks=needs_strace, id="by strace"),
        pytest.param(BY_MOUNT, 1, marks=needs_mount, id="on a full file system"),
        pytest.param(WITHOUT_THESE, 10, id="all others"),
    ],
)
def test_a_part_of_every_torture_is_survived(names: list[str], n_counts: int) -> None:
    command = [sys.executable, "-m", "torture", "--part", "1/200", *names]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    result = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(re.findall(r": ([\d,]+) of \1\n?", result.stdout)) >= n_counts
