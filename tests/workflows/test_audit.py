"""An audit trains parts of a run again: an honest run repeats to the bit, one that was edited does not."""

import hashlib
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lstmlm.audit import audit as audits
from lstmlm.audit.comparison import ngram_differences
from lstmlm.checkpoint import storage
from lstmlm.checkpoint.run_directory import NGRAMS, RunDirectory
from lstmlm.checkpoint.storage import Checkpoint, FileRecord
from lstmlm.errors import CheckpointError, ConfigError, DataError, Interrupted
from lstmlm.training.events import Event
from lstmlm.workflows import train

AddRun = Callable[[Any, Path], None]

ALL = {"training__keep": "all", "training__validate_every": 2}


def audit(run_dir: Path, n_segments: int | None = 5, seed: int = 1) -> audits.Audit:
    return audits.audit(run_dir, n_segments, seed, lambda _: None)


def problems_of(run_dir: Path) -> list[str]:
    return audit(run_dir).problems


@pytest.fixture
def run_dir(make_config: Any, add_run: AddRun, tmp_path: Path) -> Path:
    """A finished run with checkpoints of the steps 2, 4, 6, 8 and 10."""
    add_run(make_config(**ALL), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "changes",
    [
        {"model__backbone": {"name": "rnn", "hidden_size": 12}},
        {"model__backbone": {"name": "gru", "hidden_size": 12}},
        {"model__backbone": {"name": "layer_norm_lstm", "hidden_size": 12}},
        {"model__backbone": {"name": "mogrifier", "hidden_size": 12}},
        {"model__backbone": {"name": "lstm", "n_layers": 2, "hidden_size": 12, "implementation": "reference"}},
        {"model__output": {"name": "adaptive", "cutoffs": (20,)}},
        {"model__output": {"name": "mixture"}},
        {"optimizer": {"name": "sgd", "learning_rate": 2.0, "momentum": 0.9}},
        {"optimizer": {"name": "adamw", "learning_rate": 0.01}},
        {"model__dropout": {"embedding": 0.2, "input": 0.2, "hidden": 0.2, "output": 0.2, "locked": True}},
        {"model__dropout": {"state": 0.3, "weight_drop": 0.3}},
        {"averaging": {"name": "ema", "decay": 0.8}},
        {"averaging": {"name": "tail", "fraction": 0.5}},
        {"averaging": {"name": "nt_asgd", "nonmonotone_interval": 1}, **ALL},
        {"training__precision": "bfloat16", "training__compile": "always"},
        {"training__precision": "float32", "training__matmul": "own"},
        {"training__precision": "float32", "training__matmul": "onednn"},
        {"training__compile": "never"},
        {"schedule": {"name": "anneal_on_plateau"}, **ALL},
        {"schedule": {"name": "one_cycle"}},
        {"schedule": {"name": "warmup_linear", "warmup_steps": 3, "decay_start": 0.6}},
        {"schedule": {"name": "warmup_cosine", "warmup_steps": 3}},
        {"schedule": {"name": "step", "milestones": (3, 7), "unit": "steps"}},
        {"data__partial_shuffle": True, "data__variable_bptt": True, "data__bptt": 12},
        {"training__state_reset": 0.3, "training__accumulate": 2},
        {"training__regularization": {"alpha": 2.0, "beta": 1.0}, "training__log_every": 3},
        {"training__n_steps": None, "training__n_epochs": 2, "training__validate_every": None},
    ],
    ids="rnn gru layer_norm_lstm mogrifier reference adaptive mixture sgd adamw locked state_and_weights ema tail "
    "nt_asgd bfloat16 own onednn uncompiled plateau one_cycle warmup_linear warmup_cosine step drawn_windows "
    "reset_and_groups regularization epochs".split(),
)
def test_an_honest_run_repeats_to_the_bit(make_config: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    train(make_config(**{**ALL, "training__validate_every": 4, **changes}), tmp_path / "run")
    n_stretches = len(RunDirectory.open(tmp_path / "run").steps)
    found = audit(tmp_path / "run", n_stretches)
    assert found.problems == []
    assert found.reasons == []
    assert found.stretches[0].start == 0


def test_a_stretch_is_compared_with_all_that_was_recorded_of_it(run_dir: Path) -> None:
    found = audit(run_dir)
    assert [(stretch.start, stretch.end) for stretch in found.stretches] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    values = found.report.values
    assert (values["passed"], values["n_steps_repeated"], values["n_steps"], values["compared"]) == (
        *(True, 10, 10),
        "every bit",
    )
    assert values["torch"] == torch.__version__


def test_the_seed_draws_the_stretches(run_dir: Path) -> None:
    drawn = {seed: audit(run_dir, 1, seed).stretches[0].end for seed in range(6)}
    assert len(set(drawn.values())) > 1
    assert audit(run_dir, 1, 3).stretches[0].end == drawn[3]


def test_an_audit_leaves_a_run_as_it_is(run_dir: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}

    before = content()
    audit(run_dir, 2)
    assert content() == before


def test_a_run_that_was_interrupted_repeats(make_config: Any, tmp_path: Path) -> None:
    config = make_config(**ALL, training__save_every=3)

    def stop(event: Event) -> None:
        # Step 4 is saved before it is validated, step 7 where nothing was to be saved.
        if event.event == "step" and event.step in (4, 7):
            signal.raise_signal(signal.SIGINT)

    for _ in range(2):
        with pytest.raises(Interrupted):
            train(config, tmp_path / "run", resume=True, observers=[stop])
    assert audit(tmp_path / "run", 5).problems == []
    train(config, tmp_path / "run", resume=True)
    assert RunDirectory.open(tmp_path / "run").steps == [2, 3, 4, 6, 7, 8, 9, 10]
    assert audit(tmp_path / "run", 8).problems == []


def test_without_validation(make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    text = Path(make_config().data.corpus) / "train.txt"
    (tmp_path / "corpus" / "train.txt").write_bytes(text.read_bytes())
    config = make_config(data__corpus=str(tmp_path / "corpus"), training__keep="all", training__save_every=4)
    train(config, tmp_path / "run")
    assert [(stretch.start, stretch.end) for stretch in audit(tmp_path / "run", 3).stretches] == [
        (0, 4),
        (4, 8),
        (8, 10),
    ]
    assert problems_of_all(tmp_path / "run", 3) == []


def problems_of_all(run_dir: Path, n_segments: int) -> list[str]:
    return audit(run_dir, n_segments).problems


def vouched(run_dir: Path, step: int, change: Callable[[Checkpoint], Checkpoint] = lambda same: same) -> None:
    """Let a checkpoint vouch for what it, and the run, is now: what whoever edits a run by hand may do, too."""
    run = RunDirectory.open(run_dir)
    content, path = change(run.load_training(step)), run.path_of(step)
    files = [run_dir / name for name in ("config.yaml", "tokenizer.json", NGRAMS) if (run_dir / name).exists()]
    manifest = storage.read_manifest(path, step, files)
    assert manifest.metrics is not None
    metrics = (run_dir / "metrics.jsonl").read_bytes()[: manifest.metrics.size]
    run_files = {file.name: FileRecord.of([file.read_bytes()]) for file in files}
    storage.publish_checkpoint(path, step, content, run_files, FileRecord.of([metrics]))


def with_tensor(name: str, part: str) -> Callable[[Checkpoint], Checkpoint]:
    def change(content: Checkpoint) -> Checkpoint:
        getattr(content, part)[name].view(-1)[5] += 2**-20
        return content

    return change


def test_an_edited_weight_is_named(run_dir: Path) -> None:
    vouched(run_dir, 6, with_tensor("embedding.weight", "weights"))
    found = problems_of(run_dir)
    assert re.fullmatch(
        rf"{re.escape(str(run_dir))}/checkpoints/00000006/model.safetensors: embedding.weight differs in 1 of [\d,]+ "
        r"numbers, by [\d.e-]+ at most",
        found[0],
    )
    # What follows from step 6 is not what it would be.
    assert any("00000008/model.safetensors" in problem for problem in found)
    assert not any("00000004" in problem or "00000010" in problem for problem in found)


def test_edited_n_grams_are_named(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    """Every figure rests on them, and no stretch that is trained again reads them."""
    add_run(make_config(**ALL, model__ngram_order=3), tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    assert problems_of(run.path) == []
    honest, ngrams = (run.path / NGRAMS).read_bytes(), run.load_ngrams()
    name = next(name for name, tensor in ngrams.items() if tensor.is_floating_point())
    ngrams[name].view(-1)[1] *= 0.9

    def edit(content: Checkpoint) -> Checkpoint:
        save_file(ngrams, run.path / NGRAMS)
        return content

    for step in run.steps:
        (run.path / NGRAMS).write_bytes(honest)
        vouched(run.path, step, edit)
    assert [problem.split(", by")[0] for problem in problems_of(run.path)] == [
        f"{run.path / NGRAMS}: {name} differs in 1 of {ngrams[name].numel():,} numbers"
    ]


def test_an_edited_optimizer_is_named(run_dir: Path) -> None:
    name = next(name for name in RunDirectory.open(run_dir).load_training(6).training if "exp_avg_sq" in name)
    vouched(run_dir, 6, with_tensor(name, "training"))
    assert f"{run_dir}/checkpoints/00000006/training.safetensors: {name} differs in 1 of" in problems_of(run_dir)[0]


def test_an_edited_state_is_named(run_dir: Path) -> None:
    best = RunDirectory.open(run_dir).load_training(6).state["best_nats"]
    vouched(run_dir, 6, lambda content: content._replace(state={**content.state, "best_nats": 0.5}))
    assert problems_of(run_dir)[0] == (
        f"{run_dir}/checkpoints/00000006/state.json: best_nats is 0.5 there, {best} here"
    )


def test_edited_metrics_are_named(run_dir: Path) -> None:
    path = run_dir / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if b'"validation", "step": 6' in line)
    nats = str(json.loads(lines[place])["nats"])
    better = ("1" if nats[0] != "1" else "2") + nats[1:]
    lines[place] = lines[place].replace(f'"nats": {nats}'.encode(), f'"nats": {better}'.encode())
    path.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is damaged \(its SHA-256 differs from the manifest"):
        audit(run_dir)
    for step in (6, 8, 10):
        vouched(run_dir, step)
    assert problems_of(run_dir) == [f"{path}: validation of step 6: nats is {better} there, {nats} here"]


def test_an_edited_end_is_named(run_dir: Path) -> None:
    path = run_dir / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n_tokens": 280, "elapsed', b'"n_tokens": 380, "elapsed'))
    assert problems_of(run_dir) == [f"{path}: end: n_tokens is 380 there, 280 in the last checkpoint"]


def test_a_line_that_was_left_out_is_named(run_dir: Path) -> None:
    path = run_dir / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"validation", "step": 4' not in line))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is damaged"):
        audit(run_dir)


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "config.yaml",
        "tokenizer.json",
        "checkpoints/00000004/model.safetensors",
        "checkpoints/00000004/training.safetensors",
        "checkpoints/00000004/state.json",
        "checkpoints/00000004/manifest.json",
    ],
)
def test_one_edited_byte_is_refused(run_dir: Path, name: str) -> None:
    content = bytearray((run_dir / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run_dir / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=re.escape(str(run_dir / name))):
        audit(run_dir, 1)


def test_another_corpus_is_refused(make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for text in Path(make_config().data.corpus).glob("*.txt"):
        (tmp_path / "corpus" / text.name).write_bytes(text.read_bytes())
    train(make_config(**ALL, data__corpus=str(tmp_path / "corpus")), tmp_path / "run")
    path = tmp_path / "corpus" / "train.txt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{tmp_path}/corpus: the train split is not the text"):
        audit(tmp_path / "run", 1)


def test_another_machine_is_compared_within_a_tolerance(run_dir: Path) -> None:
    path = run_dir / "environment.json"
    environment = json.loads(path.read_text("utf-8"))
    environment["cpu_capability"] = "AVX2 of another maker"
    path.write_text(json.dumps(environment), encoding="utf-8")
    found = audit(run_dir)
    assert found.problems == []
    assert found.reasons == [f"cpu_capability AVX2 of another maker, here {torch.backends.cpu.get_cpu_capability()}"]
    assert str(found.report.values["compared"]).startswith("losses to 1%, weights to 5% of their way, as bits may")
    # What tables show of a loss is its perplexity, which has to be that of the loss.
    metrics = run_dir / "metrics.jsonl"
    honest = metrics.read_bytes()
    metrics.write_bytes(re.sub(rb'("validation", "step": 6,.*"perplexity": )[^,]+', rb"\g<1>9.5", honest))
    for step in (6, 8, 10):
        vouched(run_dir, step)
    [forged] = problems_of(run_dir)
    assert forged.startswith(f"{metrics}: validation of step 6: perplexity is 9.5 there, ")
    metrics.write_bytes(honest)
    for step in (6, 8, 10):
        vouched(run_dir, step)
    # A bit is none of what is compared then; half of a weight's size is.
    vouched(run_dir, 6, with_tensor("embedding.weight", "weights"))
    assert problems_of(run_dir) == []

    def halve(content: Checkpoint) -> Checkpoint:
        content.weights["embedding.weight"] *= 0.5
        return content

    vouched(run_dir, 6, halve)
    assert re.match(
        r".*00000006/model.safetensors: weights are \d+% of the stretch's way apart", problems_of(run_dir)[0]
    )


def test_too_few_checkpoints(
    make_config: Any, add_run: AddRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add_run(make_config(), Path("run"))
    with pytest.raises(ConfigError) as caught:
        audit(Path("run"), 3)
    assert str(caught.value) == (
        "run: has one stretch between checkpoints, and 3 were asked for. Ask for fewer: "
        "lstmlm audit run --segments 1\nOr train a run that keeps them: lstmlm train --config run/config.yaml "
        "--set training.keep=all --set training.save_every=1 --run-dir run-audited"
    )
    for n_segments in (1, None):
        assert len(audit(Path("run"), n_segments).stretches) == 1
    with pytest.raises(ConfigError, match="--segments: 0 says nothing"):
        audit(Path("run"), 0)


def test_a_run_of_an_earlier_version(run_dir: Path) -> None:
    """It has no digest of the metrics, no plans, and less in environment.json and in lines of metrics.jsonl."""
    path = run_dir / "metrics.jsonl"
    path.write_bytes(re.sub(rb', "n_steps": 10', b"", path.read_bytes()))
    environment = json.loads((run_dir / "environment.json").read_text("utf-8"))
    del environment["device"], environment["n_processes"]
    (run_dir / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    for step in RunDirectory.open(run_dir).steps:
        vouched(run_dir, step, without_plans)
        manifest = run_dir / f"checkpoints/{step:08d}/manifest.json"
        content = json.loads(manifest.read_text("utf-8"))
        del content["metrics"]
        manifest.write_bytes(storage.json_bytes(content))
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
        manifest.with_suffix(".sha256").write_text(f"{digest}  manifest.json\n", encoding="utf-8")
    found = audit(run_dir)
    assert (found.problems, found.reasons, found.vouches_for_metrics) == ([], [], False)
    assert found.report.values["metrics"] == "in the stretches alone, for want of a digest"


def without_plans(content: Checkpoint) -> Checkpoint:
    return content._replace(state={key: value for key, value in content.state.items() if key != "plans"})


def test_of_another_run_s_weights_the_beginning_is_not_repeated(
    make_config: Any, run_dir: Path, tmp_path: Path
) -> None:
    train(make_config(**ALL, training__initialize_from=str(run_dir)), tmp_path / "next")
    assert [stretch.start for stretch in audit(tmp_path / "next", 4).stretches] == [2, 4, 6, 8]


def test_a_failed_audit_ends_with_what_differs(run_dir: Path) -> None:
    audits.require_passed(audit(run_dir, 1))
    vouched(run_dir, 6, with_tensor("embedding.weight", "weights"))
    with pytest.raises(CheckpointError) as caught:
        audits.require_passed(audit(run_dir))
    message = str(caught.value)
    assert message.startswith(f"{run_dir}: is not what its configuration and corpus give.\n")
    assert "model.safetensors: embedding.weight differs in 1 of" in message


def test_elsewhere_n_grams_may_be_rounded_otherwise_but_are_of_the_same_words() -> None:
    there = {"2.keys": torch.tensor([5_000_000, 6_000_000]), "2.probability": torch.tensor([0.25, 0.5])}
    rounded = {**there, "2.probability": there["2.probability"] * (1 + 1e-6)}
    assert list(ngram_differences(there, rounded, exact=False)) == []
    assert [what.split()[0] for what in ngram_differences(there, rounded, exact=True)] == ["2.probability"]
    moved = {**there, "2.keys": there["2.keys"] + 1}
    assert [what.split()[0] for what in ngram_differences(there, moved, exact=False)] == ["2.keys"]
