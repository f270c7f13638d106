"""A signal in any phase of a command ends it with 128 + its number; what was done is saved, and nothing is broken."""

import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import typer
from run_facts import facts_of

from lstmlm import cli
from lstmlm.distributed import ALONE, World

Cli = Callable[..., Any]

PROJECT = Path(__file__).parent.parent.parent

TRAIN = ("train", "--config", "tiny.yaml", "--set", "training.validate_every=3", "--resume")

PHASES = {
    "reading the corpus": ("lstmlm.training.preparation.preparation.load_corpus", None),
    "tokenizing": ("lstmlm.corpus.store.token_cache.train_tokenizer", None),
    "building the model": ("lstmlm.training.preparation.preparation.initial_model", None),
    "creating the run": ("lstmlm.files.write_atomically", None),
    "a step": ("lstmlm.training.trainer.Trainer.train_step", 1),
    "validating": ("lstmlm.training.callbacks.score", 3),
    "sampling": ("lstmlm.generation.texts.generate", 3),
    "saving": ("lstmlm.checkpoint.storage.publish_checkpoint", 3),
    "the last evaluation": ("lstmlm.evaluation.perplexity.perplexity.score", 6),
}
"""What a phase begins with, and the step that is saved if a signal comes then."""

SIGNALS = [
    *((phase, signal.SIGTERM, 143) for phase in PHASES),
    *((phase, signal.SIGINT, 130) for phase in ("tokenizing", "saving")),
    *((phase, signal.SIGHUP, 129) for phase in ("tokenizing", "saving")),
    *(("a step", number, 128 + number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGALRM)),
]


def signalled(target: str, numbers: list[signal.Signals], run: Callable[[], Any]) -> Any:
    """Run something in which these signals come when `target` is called for the first time."""
    with pytest.MonkeyPatch.context() as patch:
        original = pkgutil.resolve_name(target)

        def interrupted(*arguments: Any, **options: Any) -> Any:
            patch.undo()
            for number in numbers:
                signal.raise_signal(number)
            return original(*arguments, **options)

        patch.setattr(target, interrupted)
        return run()


@pytest.mark.parametrize(("phase", "number", "status"), SIGNALS, ids=lambda value: getattr(value, "name", value))
def test_a_signal_while(
    phase: str, number: signal.Signals, status: int, here: Path, add_run: Callable[..., None], lstmlm: Cli
) -> None:
    target, saved = PHASES[phase]
    result = signalled(target, [number], lambda: lstmlm(*TRAIN))
    assert result.exit_code == status
    state = "Nothing is saved yet; start again" if saved is None else f"Step {saved} is saved; continue"
    again = "lstmlm train --config tiny.yaml --run-dir runs/tiny --set training.validate_every=3 --resume"
    assert result.stderr.endswith(f"Interrupted. {state}: {again}\n")
    assert lstmlm(*TRAIN).exit_code == 0
    add_run("runs/whole", "training.validate_every=3")
    assert facts_of(here / "runs" / "tiny") == facts_of(here / "runs" / "whole")


@pytest.mark.parametrize(
    ("n_processes", "n_on_this_machine", "program"),
    [("2", "2", "torchrun --nproc-per-node 2 -m lstmlm"), ("4", "2", "torchrun OPTIONS -m lstmlm")],
)
def test_one_of_several_processes_says_how_all_go_on(
    n_processes: str,
    n_on_this_machine: str,
    program: str,
    here: Path,
    lstmlm: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", n_processes)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", n_on_this_machine)
    monkeypatch.setattr(World, "from_environment", lambda: nullcontext(ALONE))
    result = signalled("lstmlm.workflows.train", [signal.SIGTERM], lambda: lstmlm(*TRAIN))
    assert result.exit_code == 143
    assert f"; start again: {program} train --config tiny.yaml --run-dir runs/tiny " in result.stderr


def test_a_run_that_was_made_longer_is_continued_as_long(here: Path, lstmlm: Cli) -> None:
    assert lstmlm(*TRAIN).exit_code == 0
    own = ["train", "--run-dir", "runs/tiny", "--resume"]
    for sets in (["--set", "training.n_steps=9"], []):
        result = signalled(PHASES["a step"][0], [signal.SIGTERM], lambda sets=sets: lstmlm(*own, *sets))
        assert result.exit_code == 143
    assert result.stderr.endswith("continue: lstmlm train --run-dir runs/tiny --resume\n")
    assert "step 9" in lstmlm(*own).stderr


def test_a_second_interrupt_stops_a_save_and_loses_nothing_saved_before(here: Path, lstmlm: Cli) -> None:
    impatient = [signal.SIGINT, signal.SIGINT]
    result = signalled(PHASES["saving"][0], impatient, lambda: lstmlm(*TRAIN, "--set", "training.save_every=1"))
    assert result.exit_code == 130
    assert lstmlm(*TRAIN, "--set", "training.save_every=1").exit_code == 0
    assert lstmlm(*TRAIN, "--set", "training.save_every=1", "--run-dir", "runs/whole").exit_code == 0
    assert facts_of(here / "runs" / "tiny") == facts_of(here / "runs" / "whole")


def test_an_interrupt_before_a_command_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130


@pytest.mark.parametrize("command", [["generate", "The"], ["eval", "perplexity"]])
def test_other_commands_end_the_same_way(command: list[str], trained: Path, lstmlm: Cli) -> None:
    result = signalled("lstmlm.workflows.load", [signal.SIGTERM], lambda: lstmlm(*command))
    assert result.exit_code == 143
    assert result.stdout == ""
    as_json = signalled("lstmlm.workflows.load", [signal.SIGTERM], lambda: lstmlm(*command, "--json"))
    error = {"code": "interrupted", "message": "interrupted by SIGTERM.", "exit_status": 143}
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (143, {"error": error})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_question_ends_the_same_way(number: signal.Signals, trained: Path, lstmlm: Cli) -> None:
    asks = f"{typer.confirm.__module__}.echo"
    result = signalled(asks, [number], lambda: lstmlm("runs", "prune", "tiny"))
    assert (result.exit_code, "Aborted" in result.stderr) == (128 + number, False)
    assert (trained / "runs/tiny").is_dir()


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(trained: Path) -> None:
    command = [sys.executable, "-m", "lstmlm", "generate", "The", "--max-tokens", "100000", "--seed", "1"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3) == "The"
        process.stdout.close()
        assert process.stderr.read() == "runs/tiny, seed 1\n"
    assert process.returncode == 0
