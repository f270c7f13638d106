"""`lstmlm lab`: a grid trained and compared, whatever stops it in between."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

CELLS = ("lab", "--config", "tiny.yaml", "--vary", "model.backbone.name=rnn,lstm")
GRID = (*CELLS, "--vary", "data.bptt=5,7", "--seeds", "2")


def test_a_grid(here: Path, lstmlm: Cli) -> None:
    result = json.loads(lstmlm(*GRID, "--json").stdout)
    assert set(result["perplexities"]) == {f"backbone={cell},bptt={n}" for cell in ("rnn", "lstm") for n in (5, 7)}
    for name, of_seeds in result["perplexities"].items():
        for seed, perplexity in of_seeds.items():
            run = Path("runs/lab") / name / f"seed-{seed}"
            events = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
            assert perplexity == min(event["perplexity"] for event in events if event["event"] == "validation")
            assert f"seed: {seed}\n" in (run / "config.yaml").read_text("utf-8")
    best, *others = result["recipes"]
    means = {name: sum(of.values()) / 2 for name, of in result["perplexities"].items()}
    assert best["recipe"] == min(means, key=lambda name: means[name])
    assert best["p"] is None
    for row in others:
        assert row["valid perplexity"] == pytest.approx(means[row["recipe"]])
        assert row["behind the best"] == pytest.approx(means[row["recipe"]] - means[best["recipe"]])
        assert 0 < row["p"] <= 1
    compared = json.loads(lstmlm("runs", "compare", "runs/lab", "--quick", "--json").stdout)
    assert [row["valid perplexity"] for row in compared["seeds"]] == [
        row["valid perplexity"] for row in result["recipes"]
    ]


def test_recipes_of_other_tokens_are_not_tested_against_the_best(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.tokenizer.name=word,byte", "--seeds", "2", "--json")
    best, other = json.loads(result.stdout)["recipes"]
    assert (other["behind the best"], other["p"], other["seeds needed"]) == (None, None, None)
    assert result.stderr.splitlines()[-1] == (
        f"{other['recipe']}: not tested against {best['recipe']}, which has another tokenizer or validation text. "
        "Compare runs of one text by bits: lstmlm eval compare RUN_A RUN_B"
    )


def test_a_second_time_nothing_is_trained(here: Path, lstmlm: Cli) -> None:
    first = lstmlm(*CELLS, "--seeds", "1", "--json").stdout
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.safetensors")}
    assert lstmlm(*CELLS, "--seeds", "1", "--json").stdout == first
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("model.backbone.name", "--vary: 'model.backbone.name' is no key with values."),
        ("data.bptt=", "--vary: 'data.bptt=' is no key with values."),
        ("data.bptt=3,x", "data.bptt: expected"),
        ("data.bpt=3", "Did you mean 'bptt'?"),
        ("seed=7,8", "--vary: seed is what --seeds counts. Say how many: --seeds 5"),
        ("data.corpus=a/b,a-b", "--vary: two combinations would have the same name."),
    ],
)
def test_mistakes_come_before_the_first_training(here: Path, lstmlm: Cli, vary: str, message: str) -> None:
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", vary)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("runs").exists()


def test_what_is_odd_in_a_configuration_is_told_of(here: Path, lstmlm: Cli) -> None:
    schedule = ("--set", "schedule.name=warmup_linear", "--set", "schedule.warmup_steps=50")
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.bptt=3,4", *schedule, "--seeds", "1")
    assert result.stderr.count("the training ends before the learning rate has risen") == 1


def test_where_all_diverge_there_is_nothing_to_compare(here: Path, lstmlm: Cli) -> None:
    sets = ("--set", "optimizer={name: sgd, clip_norm: null}", "--set", "training.n_steps=50")
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "optimizer.learning_rate=1.0e+5,1.0e+6", *sets)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith("\nThere is nothing to compare: no training has a validation perplexity.\n")


def test_a_corpus_without_a_validation_split_is_refused_before_the_first_step(here: Path, lstmlm: Cli) -> None:
    Path("corpus").mkdir()
    Path("corpus/train.txt").write_text("the cat sat on the mat\n" * 50, "utf-8")
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.bptt=3,4", "--set", "data.corpus=./corpus")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.endswith("./corpus: has no validation split, by which trainings are compared. Add one.\n")
    assert not list(here.rglob("*.safetensors"))


def test_a_combination_that_the_text_is_too_short_for_ends_no_other(here: Path, lstmlm: Cli) -> None:
    grid = ("lab", "--config", "tiny.yaml", "--vary", "data.bptt=50000,7", "--seeds", "1")
    result = lstmlm(*grid, "--json")
    assert result.exit_code == 0, result.stderr
    assert re.search("^runs/lab/bptt=50000/seed-1: .*tiny/train.txt: .* tokens, but ", result.stderr, re.MULTILINE)
    assert [row["recipe"] for row in json.loads(result.stdout)["recipes"]] == ["bptt=7"]


def test_a_combination_beyond_the_memory_ends_no_other(
    here: Path, lstmlm: Cli, little_memory: Callable[[int], None]
) -> None:
    little_memory(5)
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.bptt=5,7", "--seeds", "1", "--json")
    assert result.exit_code == 0, result.stderr
    assert "runs/lab/bptt=5/seed-1: out of memory. It is left out.\n" in result.stderr
    assert [row["recipe"] for row in json.loads(result.stdout)["recipes"]] == ["bptt=7"]


def test_what_is_varied_cannot_be_set(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.bptt=3,4", "--set", "data.bptt=5")
    message = "--set data.bptt: has no effect, as --vary data.bptt sets it, too. Leave one out.\n"
    assert (result.exit_code, result.stderr) == (2, message)


def test_seeds_are_counted_not_set(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("lab", "--config", "tiny.yaml", "--vary", "data.bptt=3,4", "--set", "seed=5")
    assert (result.exit_code, result.stderr) == (2, "--set: seed is what --seeds counts. Say how many: --seeds 5\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_killed_at_twenty_random_moments(here: Path, lstmlm: Cli) -> None:
    """Finished runs are not trained again, and the table is that of an undisturbed lab."""
    whole = json.loads(lstmlm(*GRID, "--run-dir", "runs/whole", "--json").stdout)
    command = [sys.executable, "-m", "lstmlm", *GRID, "--json"]
    generator = random.Random(1)
    finished: dict[Path, int] = {}
    for _ in range(20):
        process = subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0.5, 6))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for path, changed in finished.items():
            assert path.stat().st_mtime_ns == changed, f"{path} was written again"
        ended = [path for path in here.glob("runs/lab/**/metrics.jsonl") if '"end"' in path.read_text("utf-8")]
        finished = {path: path.stat().st_mtime_ns for path in ended}
    result = subprocess.run(command, cwd=here, capture_output=True, check=True)
    assert json.loads(result.stdout) == whole
