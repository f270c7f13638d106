"""Where lstmlm runs without what it needs it says so in a line, with the command that mends it; a bug stays a bug."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from lstmlm import __main__ as start
from lstmlm.errors import MissingExtraError

PROJECT = Path(__file__).parent.parent
SITE = Path(pytest.__file__).parents[1]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIP = f"{sys.executable} -m pip install"


class Place(NamedTuple):
    """A folder of packages in place of the interpreter's own."""

    folder: Path

    def lack(self, *names: str) -> None:
        """Take packages away, with what tells their version."""
        for name in names:
            for entry in [self.folder / name, *self.folder.glob(f"{name}-*.dist-info")]:
                entry.unlink()

    def put(self, package: str, code: str, version: str) -> None:
        """Put a package of one module in place of what is there."""
        self.lack(package)
        (self.folder / package).mkdir()
        (self.folder / package / "__init__.py").write_text(code, "utf-8")
        information = self.folder / f"{package}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `lstmlm` with these packages and no others."""
        command = [sys.executable, "-S", "-m", "lstmlm", *arguments]
        paths = os.pathsep.join(map(str, (self.folder, PROJECT)))
        return subprocess.run(
            command, cwd=self.folder, env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )

    def said(self, *arguments: str) -> str:
        """Return the line that `lstmlm` ends with."""
        result = self.run(*arguments)
        assert (result.returncode, result.stdout) == (6, "")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr.rstrip("\n")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for entry in SITE.iterdir():
        if entry.name != "__pycache__":
            (tmp_path / entry.name).symlink_to(entry)
    return Place(tmp_path)


NEEDS_TORCH = ["generate", "The"]


def declared(name: str) -> str:
    """Return a requirement as pyproject.toml has it."""
    [found] = [text for text in DECLARED["dependencies"] if re.match(r"[\w-]+", text)[0] == name]
    return str(found)


def test_with_everything_there_a_command_does_its_work(place: Place) -> None:
    result = place.run(*NEEDS_TORCH)
    assert result.returncode == 4, result.stderr
    assert result.stderr.startswith("runs: holds no trained run.")


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("torch", NEEDS_TORCH), ("pydantic", ["config", "check", "quickstart"]), ("rich", ["--help"])],
)
def test_a_package_that_is_missing(package: str, arguments: list[str], place: Place) -> None:
    place.lack(package)
    line = f"{package}: is not installed, and lstmlm needs it. Install it: {PIP} {shlex.quote(declared(package))}"
    assert place.said(*arguments) == line


def test_a_package_without_which_no_command_starts(place: Place) -> None:
    place.lack("typer")
    assert place.said("--help").startswith(f"typer: is not installed, and lstmlm needs it. Install it: {PIP} 'typer")


def test_a_package_that_is_too_old(place: Place) -> None:
    place.put("torch", "float32 = float64 = bfloat16 = None\n", "1.13.1+cpu")
    needed = declared("torch")
    assert place.said(*NEEDS_TORCH) == (
        f"torch: is version 1.13.1+cpu, lstmlm needs {needed}. Change it: {PIP} {shlex.quote(needed)}"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('cannot find\\nthe processor')", "cannot find"),
        ("raise OSError('libtorch_cpu.so: cannot open shared object file')", "libtorch_cpu.so: cannot open shared"),
        ("from torch._C import Tensor", "No module named 'torch._C'"),
        ("import missing_part", "No module named 'missing_part'"),
    ],
)
def test_a_package_that_is_broken(code: str, reason: str, place: Place) -> None:
    place.put("torch", code, "99.0")
    line = place.said(*NEEDS_TORCH)
    assert line.startswith(f"torch: cannot be imported ({reason}")
    assert line.endswith(f"). Install it again: {PIP} --force-reinstall --no-deps torch")


def test_a_package_without_what_is_imported_from_it(place: Place) -> None:
    place.put("torch", "", "99.0")
    assert place.said(*NEEDS_TORCH).startswith("torch: cannot be imported (cannot import name")


def test_a_python_that_lacks_a_part_of_its_own(place: Place) -> None:
    message = "No module named '_ctypes'"
    (place.folder / "ctypes.py").write_text(f'raise ModuleNotFoundError("{message}", name="_ctypes")\n', "utf-8")
    line = place.said(*NEEDS_TORCH)
    assert line == (f"{sys.executable}: this Python lacks a part ({message}). Install it again, or another one.")


def test_a_checkout_that_is_not_installed(place: Place) -> None:
    [information] = place.folder.glob("lstmlm-*.dist-info")
    information.unlink()
    assert place.said("--version") == f"lstmlm: is not installed here. Install it: {PIP} -e {PROJECT}"


def test_a_bug_keeps_its_traceback() -> None:
    program = "from lstmlm import cli, __main__; cli.main = lambda: 1 / 0; __main__.main()"
    result = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stderr


def test_an_old_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit) as end:
        start.main()
    assert end.value.code == 6
    assert capsys.readouterr().err == (
        f"{sys.executable}: is Python 3.10.4, lstmlm needs 3.11 or newer. "
        "Make an environment with one, and install lstmlm there: python3.11 -m venv NAME\n"
    )


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_an_old_python_can_read_what_tells_it_so(name: str) -> None:
    tree = ast.parse((PROJECT / "lstmlm" / name).read_text(encoding="utf-8"), feature_version=(3, 7))
    evaluated = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]
    assert not evaluated  # `X | Y` in an annotation


def test_nothing_else_is_read_before_an_old_python_is_told() -> None:
    program = "import sys, lstmlm.__main__; print(*sorted(name for name in sys.modules if name.startswith('lstmlm')))"
    result = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["lstmlm", "lstmlm.__main__"]


def test_what_an_old_python_is_told_agrees_with_what_is_declared_elsewhere() -> None:
    assert MissingExtraError.exit_status == start.LACKS_SOMETHING
    assert DECLARED["requires-python"] == f">={'.'.join(map(str, start.OLDEST_PYTHON))}"
