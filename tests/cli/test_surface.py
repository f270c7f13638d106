"""The commands and their flags, pinned: a new knob belongs in the configuration."""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, get_type_hints

from reference import all_commands

COMMANDS = {
    "init": {"--budget", "--output", "-o", "--set", "--force"},
    "train": {
        *("--config", "-c", "--run-dir", "--set", "--budget", "--resume", "--dry-run", "--overfit-batch"),
        *("--quiet", "-q", "--json"),
    },
    "watch": {"--once"},
    "tune": {"--run-dir", "--trials", "--set", "--json"},
    "lab": {"--vary", "--config", "-c", "--seeds", "--run-dir", "--set", "--budget", "--plot", "--json"},
    "report": {"--output", "-o", "--format", "--quick"},
    "runs list": {"--sort", "--json"},
    "runs show": {"--json"},
    "runs compare": {"--split", "--quick", "--sort", "--plot", "--json"},
    "runs prune": {"--keep-best", "--state", "--yes", "-y", "--json"},
    "generate": {
        *("--run", "--max-tokens", "--temperature", "--top-k", "--top-p", "--n", "-n", "--seed", "--allow-unk"),
        *("--min-p", "--typical-p", "--repetition-penalty", "--no-repeat-ngram-size"),
        *("--precision", "--stop", "--raw", "--prompts", "--json", "--novelty", "--interactive", "-i"),
    },
    "eval perplexity": {
        *("--run", "--split", "--text", "--context", "--encoding", "--save-logprobs", "--prove", "--seed", "--json")
    },
    "eval compare": {"--split", "--text", "--encoding", "--json"},
    "eval adaptation": {"--run", "--split", "--text", "--tune", "--set", "--encoding", "--prove", "--seed", "--json"},
    "eval ensemble": {"--split", "--text", "--encoding", "--prove", "--seed", "--json"},
    "eval combine": {"--tune", "--json"},
    "inspect gradients": {"--run", "--split", "--text", "--max-lag", "--plot", "--encoding", "--json"},
    "inspect gates": {"--run", "--layer", "--plot", "--json"},
    "next": {"--run", "--top", "--complete", "--json"},
    "eval surprisal": {
        "--run",
        "--context",
        "--first-word",
        "--no-eos",
        "--last-word",
        "--normalize",
        "--jsonl",
        "--format",
        "--encoding",
        "--join",
        "--output",
        "--prove",
        "--seed",
    },
    "eval pairs": {
        "--run",
        "--format",
        "--normalize",
        "--columns",
        "--no-eos",
        "--encoding",
        "--ngram",
        "--join",
        "--items",
        "--json",
    },
    "eval ngram": {
        "--run",
        "--order",
        "--split",
        "--text",
        "--encoding",
        "--from",
        "--prove",
        "--seed",
        "--json",
    },
    "eval rescore": {
        "--run",
        "--format",
        "--scores",
        "--weight",
        "--length-bonus",
        "--first-pass-weight",
        "--ignore",
        "--context",
        "--tune",
        "--references",
        "--metric",
        "--join",
        "--encoding",
        "--output",
        "--json",
    },
    "audit": {"--segments", "--seed", "--json"},
    "eval harness": {"--run", "--include-path", "--limit", "--json"},
    "prove": {"--model", "--vocab-size", "--tokens", "--seed", "--json"},
    "serve": {"--host", "--port", "--api-key"},
    "bench": {"--quick", "--json", "--isa", "--no-compiler"},
    "explain": {"--json"},
    "data list": {"--json"},
    "data get": set(),
    "data check": {"--config", "-c", "--set", "--json"},
    "data stats": {"--config", "-c", "--set", "--json"},
    "data tokenizer train": {"--output", "-o", "--tokenizer", "--set", "--json"},
    "data tokenizer show": {"--json"},
    "data tokenizer compare": {"--text", "--set", "--json"},
    "data encode": {"--output", "-o", "--tokenizer", "--valid", "--test", "--field", "--encoding", "--json"},
    "export huggingface": {"--run"},
    "export onnx": {"--run", "--for", "--int8", "--split", "--text", "--encoding"},
    "export torch": {"--run"},
    "export arpa": {"--run", "--order"},
    "import torch": {"--tokenizer", "--run-dir", "--nonlinearity"},
    "config check": {"--set"},
    "config show": {"--set"},
    "config schema": set(),
    "config explain": {"--json"},
    "config diff": {"--json"},
    "config list": {"--json"},
}


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = commands_of(command, f"{prefix}{name} ") if hasattr(command, "commands") else {}
        found |= inner or {prefix + name: command}
    return found


def test_the_flags_are_these() -> None:
    import typer

    from lstmlm.cli import app

    found = {
        name: {flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")}
        for name, command in commands_of(typer.main.get_command(app)).items()
    }
    assert found == COMMANDS


def functions_of(app: Any) -> list[Any]:
    inner = [function for group in app.registered_groups for function in functions_of(group.typer_instance)]
    return [command.callback for command in app.registered_commands] + inner


def test_every_path_is_expanded() -> None:
    from lstmlm.cli import app

    parsers = {
        f"{function.__module__} {name}": hint.__metadata__[0].parser
        for function in functions_of(app)
        for name, hint in get_type_hints(function, include_extras=True).items()
        if "Path" in str(hint)
    }
    assert len(parsers) > 20
    assert [name for name, parser in parsers.items() if parser is None] == []


def test_help_has_a_short_flag(lstmlm: Callable[..., Any]) -> None:
    short = lstmlm("eval", "perplexity", "-h")
    assert (short.exit_code, short.stdout) == (0, lstmlm("eval", "perplexity", "--help").stdout)
    assert "lstmlm eval perplexity --run" in short.stdout


def test_paragraphs_of_help_flow_whatever_the_terminals_width() -> None:
    helps = {name: command.help for name, command in all_commands()}
    assert set(helps) >= set(COMMANDS)
    assert [name for name, text in helps.items() if re.search(r"[^\n]\n[^\n]", text)] == []


def test_version(lstmlm: Callable[..., Any]) -> None:
    assert lstmlm("--version").stdout == f"lstmlm {version('lstmlm')}\n"


def test_help_names_the_tokenizers_that_there_are() -> None:
    from lstmlm.cli.options import LEARNT_TOKENIZERS
    from lstmlm.corpus.tokenizers import default_options

    assert LEARNT_TOKENIZERS.replace(" or ", ", ").split(", ") == list(default_options())
