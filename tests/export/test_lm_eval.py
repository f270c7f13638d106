"""lm-eval asks a run as it asks the exported directory by its own means; without it the error names the extra."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lstmlm.errors import ConfigError, MissingExtraError
from lstmlm.export.huggingface import export_huggingface
from lstmlm.scoring import score

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

PAIRS = [
    ("the farmer waits by the river", "the farmer by waits the river"),
    ("he says don't ask the cat", "he don't says ask the cat"),
    ("a dog and a sailor", "a dog and a"),
    ("the unknown sailor waits", "the sailor unknown waits"),
]
TASK = """\
task: agreement
dataset_path: json
dataset_kwargs: {{data_files: {{train: "{data}"}}}}
output_type: multiple_choice
validation_split: train
doc_to_text: ""
target_delimiter: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
metric_list: [{{metric: acc}}]
"""
TOKENIZERS = {
    "word": {"name": "word"},
    "char": {"name": "char"},
    "bpe": {"name": "bpe", "vocab_size": 270},
}


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module, where lm-eval is installed, with nothing to be fetched."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    pytest.importorskip("lm_eval", reason="needs lm-eval: make check-peers")
    from lstmlm.api import harness

    return harness


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task file of the kind of BLiMP, with its pairs beside it."""
    data = tmp_path / "pairs.jsonl"
    lines = [json.dumps({"sentence_good": good, "sentence_bad": bad}) for good, bad in PAIRS]
    data.write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "agreement.yaml"
    path.write_text(TASK.format(data=data), encoding="utf-8")
    return path


def model(name: str = "lstm") -> dict[str, Any]:
    return {"backbone": {"n_layers": 1, "hidden_size": 8, "name": name}, "embedding_size": 8}


def requests(*arguments: tuple[Any, ...]) -> list[Any]:
    return [SimpleNamespace(args=given) for given in arguments]


def asked_about(asked: Any, task: Path) -> tuple[float, np.ndarray]:
    """The accuracy of a model, and ln p of both sentences of each pair."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(task.parent))
    result = simple_evaluate(asked, tasks=["agreement"], task_manager=manager, log_samples=True)
    samples = sorted(result["samples"]["agreement"], key=lambda sample: sample["doc_id"])
    scores = np.array([[value for value, _ in sample["filtered_resps"]] for sample in samples])
    return result["results"]["agreement"]["acc,none"], scores


def nats(trained: Any, text: str) -> float:
    ids = np.array(trained.tokenizer.encode_prompt(text))
    return float(score(trained.model, ids, trained.tokenizer.start_id).sum())


def test_line_ends_are_read_as_everywhere(harness: Any, make_run: Callable[..., Any]) -> None:
    asked = harness.LstmlmLM(make_run(model(), {"name": "char"}))
    texts = ["a cat\r\nthe dog\r\n", "a cat\nthe dog\n"]
    assert len(set(asked.loglikelihood_rolling(requests(*((text,) for text in texts))))) == 1
    options = {"max_gen_toks": 5}
    assert len(set(asked.generate_until(requests(*((text, options) for text in texts))))) == 1


def test_a_question_that_is_repeated_has_other_answers(harness: Any, make_run: Callable[..., Any]) -> None:
    asked = harness.LstmlmLM(make_run(model(), {"name": "char"}))
    drawn, likeliest = ({"max_gen_toks": 20, "do_sample": is_drawn} for is_drawn in (True, False))
    again = requests(("a", drawn), ("a", likeliest)) * 3
    texts = asked.generate_until(again)
    assert (len(set(texts[::2])), len(set(texts[1::2]))) == (3, 1)
    assert asked.generate_until(again) == texts


@pytest.mark.parametrize("ngram_order", [None, 3], ids=["network", "n-grams"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_both_ways_give_the_same_scores(
    harness: Any,
    make_run: Callable[..., Any],
    task: Path,
    tmp_path: Path,
    tokenizer: dict[str, Any],
    ngram_order: int | None,
) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="needs lm-eval[hf]: make check-peers")

    trained = make_run(model() | {"ngram_order": ngram_order}, tokenizer)
    export_huggingface(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    theirs = huggingface.HFLM(pretrained=str(tmp_path / "exported"), trust_remote_code=True, device="cpu")
    accuracy, scores = asked_about(harness.LstmlmLM(trained), task)
    their_accuracy, their_scores = asked_about(theirs, task)
    assert their_accuracy == accuracy
    np.testing.assert_allclose(their_scores, scores, rtol=0, atol=1e-4)
    wanted = [[-nats(trained, sentence) for sentence in pair] for pair in PAIRS]
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-4)
    report = harness.evaluate_tasks(trained, ["agreement"], task.parent)
    [row] = report.rows
    assert (row["task"], row["metric"], row["value"], row["n"]) == ("agreement", "acc", accuracy, len(PAIRS))


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Return a function that serves a run and returns the address; they end with the test."""
    reason = "needs the extra serve: pip install 'lstmlm[serve]'"
    pytest.importorskip("lstmlm.serving.server", reason=reason, exc_type=ImportError)
    started = []

    def start(run: Path) -> str:
        command = [sys.executable, "-m", "lstmlm", "serve", str(run), "--port", "0"]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        for line in started[-1].stderr:
            if address := re.search(r"http://[\d.]+:\d+", line):
                return address[0]
        raise AssertionError("the server has ended")

    yield start
    for process in started:
        process.terminate()
        process.wait()
        process.stderr.close()


@pytest.mark.loopback
@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_its_client_of_a_server_gives_the_same_scores(
    harness: Any,
    make_run: Callable[..., Any],
    task: Path,
    serve: Callable[[Path], str],
    tokenizer: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    completions = pytest.importorskip(
        "lm_eval.models.openai_completions", reason="needs lm-eval[api]: make check-peers"
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    trained = make_run(model(), tokenizer)
    url = f"{serve(trained.run.path)}/v1/completions"
    theirs = completions.LocalCompletionsAPI(base_url=url, model=trained.run.path.name)
    accuracy, scores = asked_about(harness.LstmlmLM(trained), task)
    their_accuracy, their_scores = asked_about(theirs, task)
    assert their_accuracy == accuracy
    np.testing.assert_allclose(their_scores, scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_the_continuation_is_what_the_whole_adds_to_the_context(
    harness: Any, make_run: Callable[..., Any], tokenizer: dict[str, Any]
) -> None:
    trained = make_run(model("gru"), tokenizer)
    asked = harness.LstmlmLM(trained)
    whole, context = "the farmer waits by the old river", "the farmer waits"
    pairs = [(context, " by the old river"), (f"{context} ", "by the old river"), ("", whole), (whole, "")]
    found = asked.loglikelihood(requests(*pairs))
    after = nats(trained, context) - nats(trained, whole)
    for (value, _), wanted in zip(found, [after, after, -nats(trained, whole), 0], strict=True):
        assert value == pytest.approx(wanted, abs=1e-4)
    assert found[-1][1]  # nothing is the likeliest continuation of nothing
    [rolling] = asked.loglikelihood_rolling(requests((whole,)))
    assert rolling == pytest.approx(-nats(trained, whole), abs=1e-4)


def test_what_it_writes_itself_is_the_likeliest(harness: Any, make_run: Callable[..., Any]) -> None:
    asked = harness.LstmlmLM(make_run(model(), TOKENIZERS["char"]))
    options = {"until": ["\n\n\n"], "max_gen_toks": 12}
    [written] = asked.generate_until(requests(("the cat", options)))
    assert len(written) == 12
    [(value, is_likeliest)] = asked.loglikelihood(requests(("the cat", written)))
    assert is_likeliest and value < 0
    [shorter] = asked.generate_until(requests(("the cat", {**options, "until": written[4:6]})))
    assert shorter == written[: written.find(written[4:6])]
    drawn = {"do_sample": True, "temperature": 2.0, "max_gen_toks": 12}
    assert asked.generate_until(requests(("the cat", drawn))) != [written]


def test_a_text_however_long_is_read_in_one_state(harness: Any, make_run: Callable[..., Any]) -> None:
    trained = make_run(model(), TOKENIZERS["char"])
    text = "the farmer waits by the old river\n" * 120  # longer than the windows of lm-eval's own back ends
    [found] = harness.LstmlmLM(trained).loglikelihood_rolling(requests((text,)))
    assert found == pytest.approx(-nats(trained, text), rel=1e-6)
    assert math.isfinite(found)


def test_what_is_no_task_is_refused(harness: Any, make_run: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"TASK: unknown task 'blimpp'. Did you mean 'blimp'\? .*: lm-eval ls tasks$"):
        harness.evaluate_tasks(make_run(model()), ["blimpp"])


def test_an_argument_that_no_run_has_is_refused(harness: Any, make_run: Callable[..., Any]) -> None:
    trained = make_run(model())
    harness.LstmlmLM(trained, batch_size=1, max_batch_size=None, device="cpu", trust_remote_code=True)
    with pytest.raises(ConfigError, match=r"--model_args: unknown argument 'pretrained'\. Choose one of: run\."):
        harness.LstmlmLM(pretrained=str(trained.run.path))


def test_the_entry_point_is_the_class(harness: Any) -> None:
    from importlib.metadata import entry_points

    [found] = entry_points(group="lm_eval.models", name="lstmlm")
    assert found.load() is harness.LstmlmLM


def test_without_lm_eval_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "lstmlm.api.harness", raising=False)
    with pytest.raises(MissingExtraError, match=r"lm-eval: is not installed. .*: pip install 'lstmlm\[harness\]'$"):
        import lstmlm.api.harness  # noqa: F401
