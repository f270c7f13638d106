"""What is imported when: torch takes seconds to load, the classes of the configuration a tenth of one.

Every case begins in a fresh interpreter.
"""

import subprocess
import sys
from pathlib import Path

import pytest


def loaded_modules(module: str) -> set[str]:
    """Import a module in a fresh interpreter and return everything that is loaded then."""
    program = f"import sys, {module}; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module", ["lstmlm", "lstmlm.config", "lstmlm.yaml.schema", "lstmlm.files", "lstmlm.errors", "lstmlm.cli"]
)
def test_imports_no_torch(module: str) -> None:
    modules = loaded_modules(module)
    assert module in modules
    assert "torch" not in modules


def test_a_module_that_needs_torch_would_be_noticed() -> None:
    assert "torch" in loaded_modules("lstmlm.workflows")


QUESTIONS = ["perplexity", "compare", "surprisal", "pairs", "adaptation", "ensemble", "ngram", "rescore"]
COMMANDS = ["train", "generate", "next", "bench", "config check", "inspect gates"]
COMMANDS += [f"data {command}" for command in ("list", "get", "check", "stats")]
COMMANDS += [f"eval {question}" for question in QUESTIONS]

SLOW_TO_LOAD = {"torch", "numpy", "safetensors", "tokenizers", "yaml", "lstmlm.config", "matplotlib"}


def modules_of_commands(commands: list[list[str]], status: int) -> list[set[str]]:
    """Run `python -m lstmlm` and return what is loaded when it ends with this exit status, after each command.

    One interpreter runs all commands: what one of them loads, those after it have loaded too.
    """
    program = (
        "import sys, runpy\n"
        f"for sys.argv[1:] in {commands!r}:\n"
        "    try: runpy.run_module('lstmlm', run_name='__main__')\n"
        "    except SystemExit as end: print('modules', end.code, *sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    ends = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("modules ")]
    assert [code for code, *_ in ends] == [str(status)] * len(commands), result.stdout
    return [set(modules) for _, *modules in ends]


def modules_of_command(arguments: list[str], status: int) -> set[str]:
    [modules] = modules_of_commands([arguments], status)
    return modules


def test_the_command_line_loads_nothing_slow() -> None:
    assert not {*SLOW_TO_LOAD, "pydantic", "rich"} & loaded_modules("lstmlm.cli")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_version_and_help_load_nothing_slow(arguments: list[str]) -> None:
    assert not {*SLOW_TO_LOAD, "pydantic"} & modules_of_command(arguments, 0)


def test_the_help_of_a_command_loads_nothing_slow() -> None:
    loaded = modules_of_commands([[*command.split(), "--help"] for command in COMMANDS], 0)
    # Typer itself reads the types of a command's options with pydantic.
    for command, modules in zip(COMMANDS, loaded, strict=True):
        assert not SLOW_TO_LOAD & modules, command


@pytest.mark.parametrize("command", [["train", "--config"], ["config", "check"]])
def test_a_configuration_error_loads_no_torch(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("data: {corpus: ./corpus}\ntraining: {n_steps: many}\n", "utf-8")
    modules = modules_of_command([*command, str(tmp_path / "x.yaml")], 2)
    assert {"lstmlm.config", "yaml"} <= modules
    assert not {"torch", "numpy"} & modules


@pytest.mark.parametrize("option", ["--temperature=-1", "--top-k=0"])
def test_a_wrong_sampling_option_loads_no_torch(option: str) -> None:
    assert "torch" not in modules_of_command(["generate", "x", option], 2)


@pytest.mark.parametrize("arguments", [["dynamc"], ["cache", "--set", "cache.size=many"]])
def test_a_wrong_adaptation_loads_no_torch(arguments: list[str]) -> None:
    assert "torch" not in modules_of_command(["eval", "adaptation", *arguments], 2)


def test_a_wrong_context_loads_no_torch() -> None:
    assert "torch" not in modules_of_command(["eval", "surprisal", "x.txt", "--context=0"], 2)


@pytest.mark.parametrize("module", ["lstmlm.history.summary", "lstmlm.cli.display.screen"])
def test_runs_are_seen_without_torch(module: str) -> None:
    assert not {"torch", "numpy"} & loaded_modules(module)


def test_importing_leaves_the_log_to_its_user() -> None:
    program = "import logging, lstmlm.cli; logger = logging.getLogger('lstmlm'); print(logger.handlers, logger.level)"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout == "[] 0\n"


def test_version_is_that_of_the_installed_package() -> None:
    from importlib.metadata import version

    import lstmlm

    assert lstmlm.__version__ == version("lstmlm")


def test_an_unknown_name_is_an_attribute_error() -> None:
    import lstmlm

    with pytest.raises(AttributeError, match="module 'lstmlm' has no attribute 'trane'"):
        lstmlm.trane  # noqa: B018
