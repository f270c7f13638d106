"""What the package imports, or asks the version of, is what pyproject.toml declares: no more and no less."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from lowest import floors

PROJECT = Path(__file__).parent.parent
MODULES = sorted((PROJECT / "lstmlm").rglob("*.py"))
INSTALLED = packages_distributions()
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

PEERS = set(
    "transformers accelerate lm_eval minicons model_signing playwright axe_playwright_python sherpa_onnx jiwer".split()
)
"""Asked by tests, and installed for `make check-peers` alone, or by hand."""

BEHIND_AN_ERROR = {
    "matplotlib": "plot",
    "backports-zstd": "zstd",
    "transformers": "huggingface",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "lm-eval": "harness",
    "optuna": "tune",
    "starlette": "serve",
    "uvicorn": "serve",
}
"""Imported only where it is wanted, after a check that names the extra which installs it."""

COMES_WITH_TORCH = {"triton"}
"""Only with its builds for GPUs; asked for before it is used."""


def distribution(requirement: str) -> str:
    """Return the name of what a requirement or a recorded name installs, as PyPI normalises names."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def asked_by_name(tree: ast.AST, functions: set[str]) -> Iterator[str]:
    """Find the strings that calls such as `import_module("x")` have among their arguments."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in functions:
            constants = (
                node for argument in call.args for node in ast.walk(argument) if isinstance(node, ast.Constant)
            )
            yield from (constant.value for constant in constants if isinstance(constant.value, str))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
    yield from asked_by_name(tree, {"import_module", "find_spec"})


def distribution_of(module: str) -> str | None:
    """Return what installs a module; None for Python's own and ours."""
    root = module.partition(".")[0]
    # compression: Python's own from 3.14 on; nothing: a name relative to one of ours
    if root in sys.stdlib_module_names | {"compression", "lstmlm", ""}:
        return None
    if root == "backports":  # a namespace that several distributions share
        return distribution(module)
    return distribution(INSTALLED.get(root, [root])[0])


def used() -> set[str]:
    from lstmlm.checkpoint.environment import RECORDED_PACKAGES

    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    found = {distribution_of(module) for tree in trees for module in imported(tree)}
    named = {name for tree in trees for name in asked_by_name(tree, {"version"})}
    return {name for name in found if name} | {distribution(name) for name in {*named, *RECORDED_PACKAGES} - {"lstmlm"}}


def test_what_is_used_is_declared() -> None:
    declared = set(map(distribution, DECLARED["dependencies"]))
    assert used() - BEHIND_AN_ERROR.keys() - COMES_WITH_TORCH == declared


def test_what_is_used_states_its_lowest_version() -> None:
    """So that `make check-lowest` tries it; pydantic chooses its own core."""
    assert used() - set(map(distribution, floors())) - COMES_WITH_TORCH == {"pydantic-core"}


def advised() -> Iterator[tuple[str, str]]:
    """Find what errors say is not installed, and the extra that they say installs it."""
    advice = re.compile(r"([\w.-]+): is not installed\. Install it: pip install 'lstmlm\[(\w+)\]'")
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        yield from ((distribution(name), extra) for name, extra in advice.findall(text))
        if "require_extra" in text:
            extra, *names = [*asked_by_name(ast.parse(text), {"require_extra"}), ""]
            yield from ((distribution(name), extra) for name in names if name)


@pytest.mark.parametrize(("name", "extra"), BEHIND_AN_ERROR.items())
def test_what_an_extra_installs_is_named_by_an_error(name: str, extra: str) -> None:
    assert name in map(distribution, DECLARED["optional-dependencies"][extra])
    assert (name, extra) in set(advised())


def test_everything_that_an_error_names_is_an_extra() -> None:
    named = {name for path in MODULES for name in re.findall(r"lstmlm\[(\w+)\]", path.read_text(encoding="utf-8"))}
    assert named | {extra for _, extra in advised()} <= DECLARED["optional-dependencies"].keys()


def test_tests_that_need_a_peer_are_marked_as_such() -> None:
    """By the module, or one by one, also where a fixture has the name of what it gives."""

    def needs(node: ast.AST) -> set[str]:
        arguments = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}
        return ({name.split(".")[0] for name in asked_by_name(node, {"importorskip"})} | arguments) & PEERS

    def is_marked(node: ast.AST) -> bool:
        return any(isinstance(part, ast.Attribute) and part.attr == "peer" for part in ast.walk(node))

    for path in (PROJECT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert is_marked(tree) or not needs(tree), f"{path}: needs {needs(tree)}"
        if not any(isinstance(node, ast.Assign) and is_marked(node) for node in tree.body):
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    assert is_marked(node) or not needs(node), f"{path}, {node.name}: needs {needs(node)}"
