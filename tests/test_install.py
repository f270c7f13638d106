"""What `make` says where an environment cannot be made: one line that names what is missing and what mends it."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from machine import needs_make, needs_sh

PROJECT = Path(__file__).parent.parent
SCRIPT = PROJECT / "scripts" / "install.sh"
NO_SPACE = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"

pytestmark = needs_sh

OF_MAKE = ("MAKEFLAGS", "MAKELEVEL")
"""What one that runs the tests would pass on, such as -j, and would have another one tell in more lines."""

AS_OLD = "import sys; sys.version_info = (3, 10, 4, 'final', 0); exec(sys.argv[2])"


def program(path: Path, *lines: str) -> Path:
    """Write a shell script that stands for a Python; without a line that ends it, it is the one of this test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, f'exec {shlex.quote(sys.executable)} "$@"', ""]), "utf-8")
    path.chmod(0o755)
    return path


def old_python(path: Path) -> Path:
    return program(path, '[ "$1" = -m ] ||', f'exec {shlex.quote(sys.executable)} -c "{AS_OLD}" "$@"')


def ending(command: Sequence[object], status: int, **variables: str) -> str:
    """Run a command that fails; return what it said on stderr."""
    result = subprocess.run(
        list(map(str, command)),
        cwd=PROJECT,
        env={**{name: value for name, value in os.environ.items() if name not in OF_MAKE}, "LC_ALL": "C", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status, (result.stdout, result.stderr)
    return result.stderr


def install(python: object, venv: Path, status: int = 6, **variables: str) -> str:
    said = ending(["sh", SCRIPT, python, venv, "--editable", "."], status, **variables)
    assert said.count("\n") == 1, said
    return said.rstrip("\n")


def test_no_python(tmp_path: Path) -> None:
    message = "python4: no such Python. Install Python 3.11 or newer, or name yours: make PYTHON=python3.11 demo"
    assert install("python4", tmp_path / "venv") == message


def test_a_python_that_is_too_old(tmp_path: Path) -> None:
    python = old_python(tmp_path / "python3.10")
    assert install(python, tmp_path / "venv") == (
        f"{python}: is Python 3.10, lstmlm needs 3.11 or newer. Name such a one: make PYTHON=python3.11 demo"
    )
    assert not (tmp_path / "venv").exists()


def test_an_environment_of_a_python_that_is_too_old(tmp_path: Path) -> None:
    python = old_python(tmp_path / "venv" / "bin" / "python")
    assert install(sys.executable, tmp_path / "venv") == (
        f"{python}: is Python 3.10, lstmlm needs 3.11 or newer. "
        f"Name such a one: rm -r {tmp_path}/venv; make PYTHON=python3.11 demo"
    )


def test_an_environment_whose_python_is_gone(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(tmp_path / "python3.11")
    message = f"{venv}: no Python with pip runs there. Remove it, and it is made anew: rm -r {venv}"
    assert install(sys.executable, venv) == message


def test_a_python_without_venv(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ModuleNotFoundError('as Debian ships it')\n", "utf-8")
    version = ".".join(map(str, sys.version_info[:2]))
    message = f"{sys.executable}: cannot make environments. Install its venv module: apt install python{version}-venv"
    assert install(sys.executable, tmp_path / "venv", PYTHONPATH=str(tmp_path)) == message


def test_no_room_for_an_environment_leaves_nothing_of_it(tmp_path: Path) -> None:
    full = [f'if [ "$2" = venv ]; then mkdir "$4"; echo "Error: {NO_SPACE}" >&2; exit 1; fi']
    said = install(program(tmp_path / "python", *full), tmp_path / "venv")
    size = "several gigabytes with PyTorch for NVIDIA cards, 1.3 GB with its CPU build (README, Install)"
    assert said.startswith(f"{tmp_path}/venv: no room for the environment, which takes {size}; ")
    assert said.endswith("Free some, or take another disk: make VENV=/elsewhere/venv TMPDIR=/elsewhere demo")
    assert not (tmp_path / "venv").exists()


def test_no_room_for_what_is_installed(tmp_path: Path) -> None:
    full = [f'if [ "$3" = install ]; then echo "{NO_SPACE}" >&2; exit 1; fi']
    program(tmp_path / "venv" / "bin" / "python", *full)
    assert install(sys.executable, tmp_path / "venv").startswith(f"{tmp_path}/venv: no room for the environment, ")


def test_what_else_pip_says_is_passed_on(tmp_path: Path) -> None:
    program(
        tmp_path / "venv" / "bin" / "python", 'if [ "$3" = install ]; then echo "ERROR: no network" >&2; exit 2; fi'
    )
    assert install(sys.executable, tmp_path / "venv", status=1) == "ERROR: no network"


def test_what_is_there_is_installed_into(tmp_path: Path) -> None:
    program(tmp_path / "venv" / "bin" / "python", 'if [ "$3" = install ]; then echo "$@"; exit; fi')
    command = ["sh", str(SCRIPT), "python4", str(tmp_path / "venv"), "--editable", ".[dev]"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "-m pip install --disable-pip-version-check --editable .[dev]\n"


@needs_make
@pytest.mark.parametrize("target", ["demo", "check", "check-wheel", "bench"])
def test_make_says_it(target: str, tmp_path: Path) -> None:
    python = old_python(tmp_path / "python3.10")
    line, makes_own = ending(["make", f"PYTHON={python}", f"VENV={tmp_path}/venv", target], 2).splitlines()
    assert line.startswith(f"{python}: is Python 3.10, lstmlm needs 3.11 or newer.")
    assert makes_own.endswith("Error 6")
