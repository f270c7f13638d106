"""`train --dry-run` and `--overfit-batch`: what is known of a training before it, and that nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from run_facts import events

from lstmlm.checkpoint.environment import resident_bytes

Cli = Callable[..., Any]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_dry_run_says_what_the_training_takes(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", "--dry-run", "--json", "--set", "training.save_every=1")
    found = json.loads(result.stdout)
    # 190 vectors of 12, which the softmax shares, its 190 biases, 12 x 48 twice and 48 biases.
    assert found["n_parameters"] == 190 * 12 + 190 + 2 * 12 * 48 + 48
    assert (found["vocab_size"], found["n_train_tokens"], found["n_steps"]) == (190, 3350, 6)
    assert found["n_epochs"] == pytest.approx(6 * 28 / 3350, rel=0.01)
    assert found["checkpoint_bytes"] == 3 * 4 * found["n_parameters"]
    assert found["disk_bytes"] == 4 * found["checkpoint_bytes"]
    assert found["tokens_per_second"] > 0
    assert found["seconds"] > 0
    assert files_below(here) == {"tiny.yaml"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc: elsewhere the peak alone is told")
def test_memory_is_told_as_it_is_at_a_step_and_at_its_peak(trained: Path, lstmlm: Cli) -> None:
    before, n_freed = resident_bytes("VmRSS"), 1 << 28
    assert before is not None
    np.ones(n_freed, dtype=np.uint8)
    dry_run = ("train", "--config", "tiny.yaml", "--dry-run", "--json", "--set", "training.device=cpu")
    peak = json.loads(lstmlm(*dry_run).stdout)["peak_memory_bytes"]
    assert peak > before + 0.9 * n_freed
    assert all(0 < step["memory_bytes"] <= peak for step in events(trained / "runs" / "tiny", "step"))


@pytest.mark.parametrize(("keep", "n_checkpoints"), [("null", 4), ("1", 5), ("2^k", 9), ("all", 17), ("100", 17)])
def test_checkpoints_that_are_kept_take_room(keep: str, n_checkpoints: int, here: Path, lstmlm: Cli) -> None:
    """Of 25 steps there are 17 checkpoints: of every second one, of every third, and of the last."""
    every = ("--set", "training.save_every=2", "--set", "training.validate_every=3", "--set", "training.n_steps=25")
    options = ("--config", "tiny.yaml", "--dry-run", "--json", *every, "--set", f"training.keep={keep}")
    found = json.loads(lstmlm("train", *options).stdout)
    assert found["disk_bytes"] == n_checkpoints * found["checkpoint_bytes"]


def test_a_dry_run_for_people(here: Path, lstmlm: Cli) -> None:
    lines = lstmlm("train", "--config", "tiny.yaml", "--dry-run").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["parameters", "memory", "speed", "steps", "time", "disk"]
    assert lines[0] == "parameters  3,670, with 190 tokens in the vocabulary"


def test_a_dry_run_of_what_is_trained_already_leaves_the_run_alone(trained: Path, lstmlm: Cli) -> None:
    before = files_below(trained)
    assert lstmlm("train", "--config", "tiny.yaml", "--dry-run").exit_code == 0
    assert files_below(trained) == before


def test_a_dry_run_with_a_budget_plans_its_steps(here: Path, lstmlm: Cli) -> None:
    found = json.loads(lstmlm("train", "--config", "tiny.yaml", "--budget", "10m", "--dry-run", "--json").stdout)
    assert found["seconds"] == 600
    assert 20 < found["n_steps"] < 10**9


def test_a_batch_is_learnt_by_heart_in_spite_of_dropout(here: Path, lstmlm: Cli) -> None:
    sets = ("--set", "optimizer.learning_rate=0.01", "--set", "model.dropout.output=0.5")
    result = lstmlm("train", "--config", "tiny.yaml", "--overfit-batch", "--json", *sets)
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["n_tokens"] == 28
    assert found["last"] - found["least"] < 0.1 < found["first"]
    assert files_below(here) == {"tiny.yaml"}


def test_a_batch_is_learnt_from_weights_of_its_own(here: Path, lstmlm: Cli) -> None:
    """Those of a run that stood on n-grams would not fit the network alone."""
    ngrams = ("--config", "tiny.yaml", "--set", "model.ngram_order=3")
    assert lstmlm("train", *ngrams).exit_code == 0
    options = (
        "--set",
        "training.initialize_from=runs/tiny",
        "--set",
        "optimizer.learning_rate=0.01",
        "--overfit-batch",
    )
    assert lstmlm("train", *ngrams, "--run-dir", "runs/next", *options).exit_code == 0


def test_it_is_the_network_that_learns_the_batch_not_its_ngrams(here: Path, lstmlm: Cli) -> None:
    sets = ("--set", "optimizer.learning_rate=0.01")
    alone = lstmlm("train", "--config", "tiny.yaml", "--overfit-batch", "--json", *sets)
    mixed = lstmlm("train", "--config", "tiny.yaml", "--overfit-batch", "--json", *sets, "--set", "model.ngram_order=3")
    assert json.loads(mixed.stdout) == json.loads(alone.stdout)


def test_a_batch_that_is_not_learnt_ends_with_what_it_suggests(
    here: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstmlm.training.trial.MOST_STEPS", 5)
    result = lstmlm("train", "--config", "tiny.yaml", "--overfit-batch", "--set", "optimizer.learning_rate=0.00001")
    assert result.exit_code == 2
    assert "training: after 5 steps on a single batch its loss is 5.24" in result.stderr
    assert "It hardly falls: try a tenth and ten times of optimizer.learning_rate (1e-05)." in result.stderr
    slow = lstmlm("train", "--config", "tiny.yaml", "--overfit-batch", "--set", "optimizer.learning_rate=0.04")
    assert "It falls, but slowly: raise optimizer.learning_rate (0.04) or the width of the layers." in slow.stderr
    assert files_below(here) == {"tiny.yaml"}


def test_what_columns_that_begin_alike_leave_open_is_no_fault(here: Path, lstmlm: Cli) -> None:
    Path("alike.txt").write_text("ab\n" * 9 + "ac\n" * 9 + "ab\n" * 2, "utf-8")
    config = yaml.safe_load(Path("tiny.yaml").read_text("utf-8"))
    config["data"] = {"corpus": "./alike.txt", "tokenizer": {"name": "char"}, "batch_size": 2, "bptt": 2}
    Path("alike.yaml").write_text(yaml.safe_dump(config), "utf-8")
    sets = ("--set", "optimizer.learning_rate=0.02")
    found = json.loads(lstmlm("train", "--config", "alike.yaml", "--overfit-batch", "--json", *sets).stdout)
    # Both columns read "\na"; one goes on with b, the other with c: ln 2 at one of two places of each.
    assert found["least"] == pytest.approx(0.6931 / 2, abs=1e-4)


@pytest.mark.parametrize("flag", ["--dry-run", "--overfit-batch"])
def test_a_trial_is_of_a_new_training(flag: str, here: Path, lstmlm: Cli) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", flag, "--resume")
    assert (result.exit_code, result.stderr) == (2, f"{flag}: cannot be combined with --resume. Give one of them.\n")
    both = lstmlm("train", "--config", "tiny.yaml", "--dry-run", "--overfit-batch")
    assert both.stderr == "--dry-run: cannot be combined with --overfit-batch. Give one of them.\n"
