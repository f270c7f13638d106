"""Wherever a model goes, every token of a text has the same surprisal there.

A place is a function from a trained model and its exported directory to the surprisal of each token of `text_of`
(nats); a new one is a line in `PLACES`. What needs a package that is not installed is skipped, and says which.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_run import make_run

import lstmlm
from lstmlm import questions, workflows
from lstmlm.evaluation.surprisal.stimuli import read_stimuli
from lstmlm.export.huggingface import export_huggingface
from lstmlm.scoring import score

N_TOKENS = 2000
TOLERANCE = 1e-4
"""Nats, of every token."""

LINES = ["the farmer waits by the old river", "don't ask the cat , he says", "", "a sailor , a dog and 東京 !", "a Cat"]

CELLS = {"rnn": {}, "gru": {}, "lstm": {}, "mogrifier": {"rounds": 3}}
OUTPUTS: Mapping[str, dict[str, Any]] = {
    "softmax": {"output": {"name": "softmax"}},
    "adaptive": {"output": {"name": "adaptive", "cutoffs": (9, 15)}},
    "mixture": {"output": {"name": "mixture"}},
    "n-grams": {"ngram_order": 4},
}
TOKENIZERS: Mapping[str, dict[str, Any]] = {
    "word": {"name": "word"},
    "char": {"name": "char"},
    "bpe": {"name": "bpe", "vocab_size": 270},
}


def text_of(tokenizer: Any) -> str:
    """Lines of `N_TOKENS` tokens or a few more, the last one ended."""
    n_tokens = len(tokenizer.encode("\n".join(LINES) + "\n"))
    n_lines = len(LINES) * -(-N_TOKENS // n_tokens)
    return "\n".join(islice(cycle(LINES), n_lines)) + "\n"


def eval_perplexity(trained: Any, directory: Path, text: str, folder: Path) -> np.ndarray:
    (folder / "text.txt").write_text(text, encoding="utf-8")
    nats = score(trained.model, trained.tokenizer.encode(text), trained.tokenizer.start_id)
    report = workflows.evaluate(trained, text=folder / "text.txt")
    assert report.values["nats"] == pytest.approx(nats.sum())
    return nats


def eval_surprisal(trained: Any, directory: Path, text: str, folder: Path) -> np.ndarray:
    (folder / "lines.txt").write_text(text, encoding="utf-8")
    words, _ = questions.measure_surprisal(
        trained, read_stimuli(folder / "lines.txt", "text"), context="document", first_word="after-eos"
    )
    return np.concatenate([word.figures.token_nats for word in words if word.figures])


def python_api(trained: Any, directory: Path, text: str, folder: Path) -> np.ndarray:
    scores = lstmlm.load(trained.run.path).full_scores(text)
    return np.array([found.log10_probability for found in scores]) * -np.log(10)


def exported_directory(trained: Any, directory: Path, text: str, folder: Path) -> np.ndarray:
    scores = lstmlm.load(directory).full_scores(text)
    return np.array([found.log10_probability for found in scores]) * -np.log(10)


def transformers_model(trained: Any, directory: Path, text: str, folder: Path) -> np.ndarray:
    transformers = pytest.importorskip("transformers", reason="needs transformers: make check-peers")
    from lstmlm.huggingface import LstmlmForCausalLM

    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = LstmlmForCausalLM.from_pretrained(directory)(ids).logits
    return -logits[0, :-1].gather(1, ids[0, 1:, None])[:, 0].double().numpy()


PLACES: Mapping[str, Callable[[Any, Path, str, Path], np.ndarray]] = {
    "eval perplexity": eval_perplexity,
    "eval surprisal": eval_surprisal,
    "python": python_api,
    "exported directory": exported_directory,
    "transformers": transformers_model,
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that makes a run, its exported directory, a text and what it costs; the same only once."""

    @cache
    def make(cell: str, tokenizer: str, output: str) -> tuple[Any, Path, str, np.ndarray]:
        folder = tmp_path_factory.mktemp("run")
        backbone = {"name": cell, "n_layers": 2, "hidden_size": 8, **CELLS[cell]}
        model = {"backbone": backbone, "embedding_size": 8, **OUTPUTS[output]}
        trained = make_run(folder / "run", model, TOKENIZERS[tokenizer])
        export_huggingface(trained.run, trained.model, trained.tokenizer, folder / "exported")
        text = text_of(trained.tokenizer)
        ids = [trained.tokenizer.start_id, *trained.tokenizer.encode(text).tolist()]
        return trained, folder / "exported", text, reference(trained.model, ids)

    return make


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=[pytest.mark.peer] if place == "transformers" else []) for place in PLACES]
)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_token_has_the_same_surprisal(
    exported: Callable[..., Any], tmp_path: Path, cell: str, tokenizer: str, place: str
) -> None:
    for output in OUTPUTS:
        trained, directory, text, wanted = exported(cell, tokenizer, output)
        assert len(wanted) >= N_TOKENS
        np.testing.assert_allclose(
            PLACES[place](trained, directory, text, tmp_path), wanted, rtol=0, atol=TOLERANCE, err_msg=output
        )


def reference(model: Any, ids: list[int]) -> np.ndarray:
    """The surprisal of all tokens but the first, in float64 and one window."""
    model = deepcopy(model).double()
    with torch.inference_mode():
        features, _ = model(torch.tensor(ids)[:-1, None], model.initial_state(1))
        return model.output_layer.nats(features, torch.tensor(ids)[1:, None])[:, 0].numpy()
