"""A small sample of each torture; `make torture` runs all of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_a_part_of_every_torture_is_survived() -> None:
    command = [sys.executable, "-m", "torture", "--part", "1/200", "--without", "cost", "--without", "long_line"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    result = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    counts = re.findall(r": (?:([\d,]+) of \1|skipped)\n?", result.stdout)
    assert len(counts) >= 15
