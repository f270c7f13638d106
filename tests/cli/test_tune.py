"""`lstmlm tune`: a study that goes on after any kill, and that processes share."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Cli = Callable[..., Any]

SPACE: dict[str, Any] = {
    "config": "tiny.yaml",
    "set": {"training.validate_every": 2},
    "search": {
        "optimizer.learning_rate": {"float": [0.001, 0.1], "log": True},
        "model.backbone.hidden_size": {"int": [4, 12]},
        "model.backbone.name": {"choice": ["rnn", "lstm"]},
        "model.tie_weights": {"choice": [False]},
    },
    "trials": 6,
}


def write(**changes: Any) -> None:
    Path("space.yaml").write_text(yaml.safe_dump({**SPACE, **changes}), "utf-8")


def check_whole(result: dict[str, Any], root: Path, n_trials: int) -> None:
    """Every trial is there once and has ended, and the best is the best of the runs."""
    assert sorted(trial["trial"] for trial in result["trials"]) == list(range(n_trials))
    assert {trial["state"] for trial in result["trials"]} <= {"complete", "pruned"}
    assert sorted(path.name for path in root.glob("trial-*/")) == [f"trial-{n:04d}" for n in range(n_trials)]
    best = {}
    for trial in result["trials"]:
        lines = (root / f"trial-{trial['trial']:04d}" / "metrics.jsonl").read_text("utf-8").splitlines()
        validations = [event for event in map(json.loads, lines) if event["event"] == "validation"]
        assert len({event["step"] for event in validations}) == len(validations)
        if trial["state"] == "complete":
            assert trial["valid perplexity"] == min(event["perplexity"] for event in validations)
            best[trial["trial"]] = trial["valid perplexity"]
    assert result["best"]["perplexity"] == min(best.values())
    assert best[result["best"]["trial"]] == min(best.values())


def test_a_study(here: Path, lstmlm: Cli) -> None:
    write()
    result = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)
    check_whole(result, here / "runs/space", 6)
    text = Path("runs/space/best.yaml").read_text("utf-8")
    assert f"trial {result['best']['trial']} has validation perplexity {result['best']['perplexity']:.2f}" in text
    found = yaml.safe_load(text)
    assert found["optimizer"]["learning_rate"] == result["best"]["values"]["optimizer.learning_rate"]
    assert lstmlm("train", "--config", "runs/space/best.yaml", "--run-dir", "runs/again").exit_code == 0

    assert json.loads(lstmlm("tune", "space.yaml", "--json").stdout) == result
    more = json.loads(lstmlm("tune", "space.yaml", "--trials", "7", "--json").stdout)
    check_whole(more, here / "runs/space", 7)
    assert "valid perplexity" in lstmlm("tune", "space.yaml", "--trials", "7").stdout


def test_a_study_is_its_folder_whatever_that_is_called(here: Path, lstmlm: Cli) -> None:
    write(trials=2, set={"training.n_steps": 2})
    before = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)["trials"]
    (here / "runs" / "space").rename(here / "runs" / "old")
    after = json.loads(lstmlm("tune", "space.yaml", "--run-dir", "runs/old", "--trials", "3", "--json").stdout)[
        "trials"
    ]
    assert len(after) == 3
    assert all(trial in after for trial in before)


def test_the_same_seed_draws_the_same(here: Path, lstmlm: Cli) -> None:
    write(trials=3)
    one, two = (json.loads(lstmlm("tune", "space.yaml", "--run-dir", d, "--json").stdout) for d in ("one", "two"))
    assert one["trials"] == two["trials"]


def test_what_falls_behind_is_given_up(here: Path, lstmlm: Cli) -> None:
    write(search={"optimizer.learning_rate": {"choice": [1e-7, 0.02]}}, trials=12, set={"training.validate_every": 1})
    trials = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)["trials"]
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned
    assert all(trial["step"] < 6 and trial["optimizer.learning_rate"] == 1e-7 for trial in pruned)
    runs = json.loads(lstmlm("runs", "list", "space/*", "--json").stdout)["runs"]
    assert {run["state"] for run in runs} == {"finished"}


def test_one_that_has_come_to_its_end_is_complete_however_bad(here: Path, lstmlm: Cli) -> None:
    write(search={"optimizer.learning_rate": {"choice": [1e-7, 0.02]}}, trials=8, set={"training.validate_every": 6})
    trials = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)["trials"]
    assert {trial["state"] for trial in trials} == {"complete"}
    assert {trial["optimizer.learning_rate"] for trial in trials if trial["trial"] > 3} == {1e-7, 0.02}


def test_one_that_diverges_has_fallen_behind(here: Path, lstmlm: Cli) -> None:
    changes = {"training.validate_every": 2, "optimizer.clip_norm": None, "optimizer.name": "sgd"}
    write(search={"optimizer.learning_rate": {"choice": [1e6]}}, trials=1, set=changes)
    (trial,) = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)["trials"]
    assert trial["state"] == "diverged"
    assert trial["problem"].endswith("Lower optimizer.learning_rate or set clip_norm.")
    told = lstmlm("tune", "space.yaml")
    assert f"trial 0: {trial['problem']}" in told.stderr
    assert json.loads(lstmlm("runs", "list", "space/*", "--json").stdout)["runs"][0]["state"] == "diverged"


def test_where_every_trial_is_refused_the_reason_is_said(here: Path, lstmlm: Cli) -> None:
    write(search={"model.backbone.hidden_size": {"int": [4, 12]}}, set={"model.tie_weights": True})
    result = lstmlm("tune", "space.yaml")
    assert result.exit_code == 2
    assert "tie_weights" in result.stderr


def test_choices_may_be_lists_also_where_a_study_goes_on(here: Path, lstmlm: Cli) -> None:
    """Beyond ten trials the sampler looks at those before, as the journal has them."""
    widths = [[4, 12], [6, 12]]
    search = {"model.backbone.hidden_size": {"choice": widths}, "model.backbone.name": {"choice": ["rnn", "lstm"]}}
    write(search=search, trials=11, set={"training.n_steps": 2, "model.backbone.n_layers": 2})
    assert lstmlm("tune", "space.yaml").exit_code == 0
    assert lstmlm("tune", "space.yaml", "--trials", "12").exit_code == 0
    config = yaml.safe_load(Path("runs/space/best.yaml").read_text("utf-8"))
    assert config["model"]["backbone"]["hidden_size"] in widths


def trials_behind_failures(lstmlm: Cli, status: int, reason: str) -> list[dict[str, Any]]:
    """While all have failed the command ends with the reason; given again, it goes on with the next of six."""
    for _ in range(6):
        result = lstmlm("tune", "space.yaml", "--json")
        if result.exit_code == 0:
            break
        assert (result.exit_code, reason in result.stderr) == (status, True), result.stderr
    trials: list[dict[str, Any]] = json.loads(result.stdout)["trials"]
    return trials


def test_a_trial_for_which_the_text_is_too_short_has_failed(here: Path, lstmlm: Cli) -> None:
    write(search={"data.bptt": {"choice": [7, 5000]}}, trials=6, set={"training.n_steps": 2})
    trials = trials_behind_failures(lstmlm, 3, "Lower data.bptt")
    assert {(trial["data.bptt"], trial["state"]) for trial in trials} == {(7, "complete"), (5000, "fail")}


def test_a_trial_beyond_the_memory_has_failed(here: Path, lstmlm: Cli, little_memory: Callable[[int], None]) -> None:
    little_memory(7)
    write(search={"data.bptt": {"choice": [7, 5]}}, trials=6, set={"training.n_steps": 2})
    trials = trials_behind_failures(lstmlm, 5, "out of memory.")
    found = {(trial["data.bptt"], trial["state"], trial["problem"]) for trial in trials}
    assert found == {(7, "fail", "out of memory."), (5, "complete", None)}


def test_a_text_without_a_validation_split_is_refused_before_training(here: Path, lstmlm: Cli) -> None:
    Path("corpus").mkdir()
    Path("corpus/train.txt").write_text("the cat sat on the mat\n" * 50, "utf-8")
    write(set={"data.corpus": "./corpus"})
    result = lstmlm("tune", "space.yaml")
    assert result.exit_code == 3
    assert "has no validation split" in result.stderr


def test_a_line_that_a_loss_of_power_has_torn_is_dropped(here: Path, lstmlm: Cli) -> None:
    write(trials=2)
    before = json.loads(lstmlm("tune", "space.yaml", "--json").stdout)
    journal = Path("runs/space/study.journal")
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "wor')
    after = json.loads(lstmlm("tune", "space.yaml", "--trials", "3", "--json").stdout)
    assert [trial for trial in after["trials"] if trial["trial"] < 2] == before["trials"]
    assert len(after["trials"]) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serach": {}}, "serach: unknown key. Did you mean 'search'?"),
        ({"search": {}}, "search: names no key to search."),
        ({"search": {"model.dropout.outptu": {"float": [0, 0.5]}}}, "Did you mean 'output'?"),
        ({"search": {"data.bptt": {"int": [9, 3]}}}, "int: low 9 is not below high 3."),
        ({"search": {"data.bptt": {"int": [1.5, 3]}}}, "int: expected [low, high], two whole numbers, got [1.5, 3]."),
        ({"search": {"data.bptt": {"choice": []}}}, "choice: an empty range, got []."),
        ({"search": {"data.bptt": {"choice": 35}}}, "choice: expected a list, got 35."),
        ({"search": {"data.bptt": {"int": [1, 3], "log": "no"}}}, "log: expected true or false, got 'no'."),
        ({"search": {"data.bptt": {"int": [1, 3], "log": 3}}}, "log: expected true or false, got 3."),
        ({"search": {"optimizer.clip_norm": {"float": [float("nan"), 1]}}}, "2^53 at most, got [nan, 1]."),
        ({"search": {"data.bptt": {"int": [1, 10**400]}}}, "int: low and high must be finite, 2^53 at most, got [1, 1"),
        ({"search": None}, "search: expected a mapping of keys, got null."),
        ({"config": None}, "config: expected a string, got null."),
        ({"set": 3}, "set: expected a mapping of keys, got 3."),
        ({"set": {"data.bpt": 3}}, "set data.bpt=3: data.bpt: unknown key. Did you mean 'bptt'?"),
        ({"set": {"model.tie_weights": False}}, "search.model.tie_weights: model.tie_weights is set, too."),
        ({"search": {"data.bptt": {"intt": [1, 3]}}}, "unknown key 'intt'. Did you mean 'int'?"),
        ({"search": {"data.bptt": {"int": [0, 3], "log": True}}}, "log: low 0 has no logarithm."),
        ({"search": {"data.bptt": {"int": [-4, 3]}}}, "search.data.bptt: must be more than 0, got -4."),
        (
            {
                "search": {
                    "model.tie_weights": {"choice": [False, True]},
                    "model.backbone.hidden_size": {"int": [4, 12]},
                }
            },
            "space.yaml:7: search.model.tie_weights: needs the last layer as wide as the embedding, got 4 and 12.",
        ),
        ({"trials": 0}, "trials: must be more than 0, got 0."),
        ({"time": "soon"}, "time: "),
    ],
)
def test_mistakes_come_before_the_first_trial(here: Path, lstmlm: Cli, changes: Any, message: str) -> None:
    write(**changes)
    result = lstmlm("tune", "space.yaml")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not Path("runs").exists()


def test_every_mistake_has_its_line(here: Path, lstmlm: Cli) -> None:
    lines = ["config: tiny.yaml", "search:", "  data.bptt: {int: [-4, 3]}", "  model.dropout.outptu: {float: [0, 0.5]}"]
    Path("space.yaml").write_text("\n".join(lines), "utf-8")
    assert lstmlm("tune", "space.yaml").stderr.splitlines() == [
        "space.yaml:3: search.data.bptt: must be more than 0, got -4.",
        "space.yaml:4: search.model.dropout.outptu: unknown key. Did you mean 'output'?",
    ]


def test_what_is_searched_is_not_set_on_the_command_line(here: Path, lstmlm: Cli) -> None:
    write()
    result = lstmlm("tune", "space.yaml", "--set", "optimizer.learning_rate=0.01")
    wanted = "search.optimizer.learning_rate: optimizer.learning_rate is set, too. Leave one of them out.\n"
    assert (result.exit_code, result.stderr.endswith(wanted)) == (2, True)


def test_what_is_odd_at_an_end_of_a_range_is_told_of(here: Path, lstmlm: Cli) -> None:
    write(search={"optimizer.learning_rate": {"float": [0.001, 3.0]}}, trials=1, set={"training.n_steps": 1})
    result = lstmlm("tune", "space.yaml", "--json")
    assert result.exit_code == 0
    assert result.stderr.count("warning: optimizer.learning_rate: 3 is unusual for adam") == 1


def test_a_study_of_another_space_is_refused(here: Path, lstmlm: Cli) -> None:
    write(trials=1)
    assert lstmlm("tune", "space.yaml").exit_code == 0
    write(trials=1, search={"data.bptt": {"int": [3, 9]}})
    result = lstmlm("tune", "space.yaml")
    assert result.exit_code == 2
    assert "runs/space: holds the study of another space" in " ".join(result.stderr.split())


def test_without_the_extra_its_command_is_named(here: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = lstmlm("tune", "space.yaml")
    assert result.exit_code == 6
    assert "pip install 'lstmlm[tune]'" in result.stderr


def test_the_example(here: Path, lstmlm: Cli) -> None:
    from lstmlm.tuning.space import read_space

    read = read_space(Path(__file__).parent.parent.parent / "configs" / "tune" / "quickstart.yaml")
    assert read.trials == 12
    assert "optimizer.learning_rate" in read.search


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "lstmlm", "tune", "space.yaml", "--json", *options]


def test_two_processes_share_a_study(here: Path) -> None:
    write(trials=6)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    both = [subprocess.Popen(command(), cwd=here, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    result = json.loads(subprocess.run(command(), cwd=here, capture_output=True, check=True).stdout)
    check_whole(result, here / "runs/space", 6)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_killed_five_times_at_random_moments(here: Path) -> None:
    write(trials=6, set={"training.validate_every": 20, "training.n_steps": 400})
    generator = random.Random(1)
    finished: dict[Path, int] = {}
    for _ in range(5):
        process = subprocess.Popen(command(), cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(4, 12))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for path, changed in finished.items():
            assert path.stat().st_mtime_ns == changed, f"{path} was written again"
        ended = [path for path in here.glob("runs/**/metrics.jsonl") if '"end"' in path.read_text("utf-8")]
        finished = {path: path.stat().st_mtime_ns for path in ended}
    result = json.loads(subprocess.run(command(), cwd=here, capture_output=True, check=True).stdout)
    check_whole(result, here / "runs/space", 6)
