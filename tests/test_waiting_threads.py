"""Threads that wait for each other: how long they spin is chosen before torch is loaded, unless the user has chosen."""

import os
import subprocess
import sys

import pytest
import torch

USES_GNU_OPENMP = torch.backends.openmp.is_available() and sys.platform == "linux"
PROGRAM = "from lstmlm.__main__ import let_waiting_threads_sleep as choose; choose(); import torch"


def shown_settings(**variables: str) -> str:
    """Return what the library says of itself as torch is loaded by the command line."""
    chosen = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment = {**chosen, **variables, "OMP_DISPLAY_ENV": "verbose"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    ).stderr


@pytest.mark.skipif(not USES_GNU_OPENMP, reason="needs a torch that was built with GNU's OpenMP")
@pytest.mark.parametrize(
    ("variables", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
    ids=["nothing chosen", "a number chosen", "a policy chosen"],
)
def test_threads_spin_for_moments_unless_the_user_has_chosen(variables: dict[str, str], spins: str) -> None:
    assert f"GOMP_SPINCOUNT = '{spins}'" in shown_settings(**variables)
