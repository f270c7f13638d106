"""A run that goes on to another length is the run that had it from the start; one whose corpus moved stays the same."""

import json
import shlex
import shutil
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from run_facts import StopAfter, facts_of

from lstmlm.audit import audit as audits
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError, ConfigError, DataError, Interrupted
from lstmlm.history.history import read_history
from lstmlm.training.events import Event
from lstmlm.training.preparation.origin import command_for_another
from lstmlm.workflows import evaluate, load, train


def facts(run_dir: Path, old_end: int | None = None) -> dict[str, Any]:
    """What a run is, but for the lines of its old end, and for what lines say of its length."""
    found = facts_of(run_dir)
    of_old_end = ("step", old_end)
    events = [
        event
        for event in found["events"]
        if event["event"] != "length" and (event["event"], event.get("step")) != of_old_end
    ]
    return {**found, "events": [{**event, "n_steps": None} for event in events]}


ENDLESS = {
    "constant": {},
    "plateau": {"schedule": {"name": "anneal_on_plateau"}, "optimizer": {"name": "sgd", "learning_rate": 30.0}},
    "step": {"schedule": {"name": "step", "milestones": (1, 2), "unit": "epochs"}},
    "ema": {"averaging": {"name": "ema", "decay": 0.8}},
}


@pytest.mark.parametrize("changes", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("log_every", [1, 7])
def test_a_finished_run_trains_longer(
    changes: dict[str, Any], log_every: int, make_config: Any, tmp_path: Path
) -> None:
    def epochs(n: int) -> Any:
        length = {"training__n_steps": None, "training__n_epochs": n, "training__log_every": log_every}
        return make_config(data__bptt=150, **length, **changes)

    whole, run_dir = tmp_path / "whole", tmp_path / "run"
    train(epochs(3), whole)
    train(epochs(1), run_dir)
    old = RunDirectory.open(run_dir).last
    train(epochs(3), run_dir, resume=True)
    # A report off the grid stands at its old end only, which its checkpoint vouches for.
    off_grid = old if old and old % log_every else None
    assert facts(run_dir, off_grid) == facts(whole)
    run = RunDirectory.open(run_dir)
    assert run.config == RunDirectory.open(whole).config
    assert run.config_as_started.training.n_epochs == 1
    (said,) = run.metrics.read("length")
    assert said == {"event": "length", "step": old, "n_steps_before": old, "n_steps": run.last}
    assert read_history(run_dir / "metrics.jsonl").n_steps == run.last


def test_an_interrupted_run_trains_longer(make_config: Any, tmp_path: Path) -> None:
    train(make_config(training__n_steps=16, training__validate_every=4), tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(make_config(training__validate_every=4), tmp_path / "run", observers=[StopAfter(5, signal.SIGTERM)])
    longer = make_config(training__n_steps=16, training__validate_every=4)
    for step in (7, 9):
        with pytest.raises(Interrupted):
            train(longer, tmp_path / "run", resume=True, observers=[StopAfter(step, signal.SIGTERM)])
    train(longer, tmp_path / "run", resume=True)
    assert facts(tmp_path / "run") == facts(tmp_path / "whole")
    assert len(RunDirectory.open(tmp_path / "run").metrics.read("length")) == 1


def test_a_kill_right_after_the_change_loses_nothing(make_config: Any, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(event: Event) -> None:
        if event.event == "step":
            raise Killed

    config = make_config(training__n_steps=12, training__validate_every=2)
    train(config, tmp_path / "whole")
    train(make_config(training__validate_every=2), tmp_path / "run")
    for _ in range(2):
        with pytest.raises(Killed):
            train(config, tmp_path / "run", resume=True, observers=[kill])
    train(config, tmp_path / "run", resume=True)
    assert facts(tmp_path / "run") == facts(tmp_path / "whole")
    assert len(RunDirectory.open(tmp_path / "run").metrics.read("length")) == 1


@pytest.mark.parametrize("log_every", [1, 7])
def test_an_audit_of_a_longer_run(log_every: int, make_config: Any, tmp_path: Path) -> None:
    options = {"training__validate_every": 5, "training__keep": "all", "training__log_every": log_every}
    train(make_config(**options), tmp_path / "run")
    train(make_config(training__n_steps=15, **options), tmp_path / "run", resume=True)
    found = audits.audit(tmp_path / "run", 3, 1, lambda _: None)
    assert found.problems == []


@pytest.mark.parametrize("keep", ["2^k", 3, None])
def test_an_audit_leaves_out_what_spans_an_old_end(keep: Any, make_config: Any, tmp_path: Path) -> None:
    """A stretch that begins before step 10, the old end off every grid, and ends behind it."""
    options = {"training__validate_every": 4, "training__keep": keep, "training__log_every": 4}
    train(make_config(**options), tmp_path / "run")
    train(make_config(training__n_steps=22, **options), tmp_path / "run", resume=True)
    stretches = [*pairwise([0, *RunDirectory.open(tmp_path / "run").steps])]
    repeatable = [(start, end) for start, end in stretches if not start < 10 < end]
    assert len(repeatable) == len(stretches) - 1
    found = audits.audit(tmp_path / "run", len(repeatable), 1, lambda _: None)
    assert found.problems == []
    assert [(stretch.start, stretch.end) for stretch in found.stretches] == repeatable
    assert (found.n_stretches, found.n_steps) == (len(repeatable), 22)
    reason = (
        r"that can be repeated \(no checkpoint is left of step 10, where it had ended before\), and 9 were asked for"
    )
    with pytest.raises(ConfigError, match=reason):
        audits.audit(tmp_path / "run", 9, 1, lambda _: None)


@pytest.mark.parametrize(
    ("changes", "here", "reason"),
    [
        ({"schedule": {"name": "warmup_cosine"}}, {"n_steps": 12}, "schedule warmup_cosine ends with the training"),
        ({"schedule": {"name": "warmup_linear"}}, {"n_steps": 12}, "schedule warmup_linear ends with the training"),
        ({"schedule": {"name": "one_cycle"}}, {"n_steps": 12}, "schedule one_cycle ends with the training"),
        ({"averaging": {"name": "tail"}}, {"n_steps": 12}, "averaging tail ends with the training"),
        ({}, {"n_steps": None, "budget": "10m"}, "a budget plans the steps"),
    ],
)
def test_what_has_ended_says_what_to_do(
    changes: dict[str, Any], here: dict[str, Any], reason: str, make_config: Any, tmp_path: Path
) -> None:
    run = tmp_path / "my run"
    train(make_config(**changes), run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError) as error:
        train(make_config(**changes, **{f"training__{key}": value for key, value in here.items()}), run, resume=True)
    said, _, command = str(error.value).partition("in a new run: ")
    assert f"training.n_steps is 10 there, {here['n_steps']} here" in said
    assert reason in said
    words = shlex.split(command)
    assert words[:4] == ["lstmlm", "train", "--config", str(run / "config.yaml")]
    assert words[-2:] == ["--run-dir", f"{run}-longer"]
    assert f"training.initialize_from={run}" in words
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_end_that_has_passed_is_refused(make_config: Any, tmp_path: Path) -> None:
    train(make_config(), tmp_path / "run")
    with pytest.raises(CheckpointError) as error:
        train(make_config(training__n_steps=6), tmp_path / "run", resume=True)
    assert str(error.value) == (
        f"{tmp_path / 'run'}: has made 10 steps, and was to end after 6. Give a training.n_epochs or training.n_steps "
        "that is longer, or another --run-dir."
    )
    assert not (tmp_path / "run" / "changes").exists()


def test_an_end_that_decided_on_what_follows_is_refused(make_config: Any, tmp_path: Path) -> None:
    changes = {"schedule": {"name": "anneal_on_plateau"}, "training__validate_every": 4}
    train(make_config(**changes), tmp_path / "run")
    with pytest.raises(CheckpointError, match="its last validation, after step 10, is one that a longer training"):
        train(make_config(**changes, training__n_steps=20), tmp_path / "run", resume=True)


def test_two_resumes_at_once(make_config: Any, tmp_path: Path) -> None:
    train(make_config(), tmp_path / "run")
    longer = make_config(training__n_steps=20)
    refused = []

    def second(event: Event) -> None:
        if event.event == "start":
            with pytest.raises(CheckpointError) as error:
                train(longer, tmp_path / "run", resume=True)
            refused.append(str(error.value))

    train(longer, tmp_path / "run", resume=True, observers=[second])
    assert len(refused) == 1
    assert "in use" in refused[0] or "writ" in refused[0]
    assert RunDirectory.open(tmp_path / "run").last == 20


def test_a_run_and_its_corpus_move(make_config: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "valid"):
        (corpus / f"{split}.txt").write_text("a b c d e\n" * 100, "utf-8")
    here = {"training__save_every": 5, "training__keep": "all"}
    train(make_config(data__corpus=str(corpus), **here), tmp_path / "run")
    figure = evaluate(load(tmp_path / "run")).values["nats"]
    run = Path(shutil.move(tmp_path / "run", tmp_path / "renamed"))
    new = Path(shutil.move(corpus, tmp_path / "elsewhere"))
    with pytest.raises(DataError) as error:
        evaluate(load(run))
    command = shlex.join(["lstmlm", "train", "--resume", "--run-dir", str(run), "--set", "data.corpus=PATH"])
    assert command in str(error.value)
    train(make_config(data__corpus=str(new), **here), run, resume=True)
    assert RunDirectory.open(run).config.data.corpus == str(new)
    assert evaluate(load(run)).values["nats"] == figure
    assert audits.audit(run, 2, 1, lambda _: None).problems == []
    # What advises another run names the new place, too.
    words = shlex.split(command_for_another(RunDirectory.open(run), {"training.keep": "all"}, "again"))
    assert words[-6:] == ["--set", f'data.corpus="{new}"', "--set", "training.keep=all", "--run-dir", f"{run}-again"]
    train(make_config(data__corpus=str(new), training__n_steps=15, **here), run, resume=True)
    assert json.loads((run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])["step"] == 15

    other = tmp_path / "other"
    shutil.copytree(new, other)
    (other / "train.txt").write_text("e d c b a\n" * 100, "utf-8")
    with pytest.raises(DataError, match=r"SHA-256 [0-9a-f]{12} there, [0-9a-f]{12} here") as refused:
        train(make_config(data__corpus=str(other), training__n_steps=15, **here), run, resume=True)
    assert str(other) in str(refused.value)
    assert RunDirectory.open(run).config.data.corpus == str(new)
