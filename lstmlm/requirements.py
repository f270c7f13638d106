"""Why an error was no bug: something that lstmlm requires is missing, too old or broken where it runs."""

import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

from lstmlm.errors import first_line


def explanation(error: Exception) -> str | None:
    """Say in one line which requirement explains an unexpected error, and what mends it; None where none does."""
    return next(_unmet(), None) or _broken(error)


def _unmet() -> Iterator[str]:
    try:
        requirements = requires("lstmlm") or []
    except PackageNotFoundError:
        yield f"lstmlm: is not installed here. Install it: {_pip_install('-e', str(Path(__file__).parent.parent))}"
        return
    for requirement in requirements:
        if ";" in requirement:  # of an extra, whose absence has messages of its own
            continue
        name = _name(requirement)
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield f"{name}: is not installed, and lstmlm needs it. Install it: {_pip_install(requirement)}"
            continue
        if not _admits(requirement, installed):
            yield f"{name}: is version {installed}, lstmlm needs {requirement}. Change it: {_pip_install(requirement)}"


def _broken(error: Exception) -> str | None:
    """What could not be imported, if that is where the error comes from."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if missing in sys.stdlib_module_names:
        return f"{sys.executable}: this Python lacks a part ({first_line(error)}). Install it again, or another one."
    module = _being_imported(error) or missing
    if module in ("", "lstmlm"):
        return None
    [name, *_] = packages_distributions().get(module, [module])
    again = _pip_install("--force-reinstall", "--no-deps", name)
    return f"{name}: cannot be imported ({first_line(error)}). Install it again: {again}"


def _being_imported(error: Exception) -> str | None:
    """The package whose import raised the error: the first one whose code was run as a module."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        root = str(frame.f_globals.get("__name__")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and root not in ("lstmlm", "__main__"):
            return root
    return None


def _admits(requirement: str, installed: str) -> bool:
    """Whether a version is within the bounds of a requirement such as "typer>=0.27,<1"."""
    bounds = re.findall(r"(>=|<)\s*([\d.]+)", requirement)
    return all((_numbers(installed) >= _numbers(bound)) == (relation == ">=") for relation, bound in bounds)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def _name(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return name[0]


def _pip_install(*arguments: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", "install", *arguments])
