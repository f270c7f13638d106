"""One text in one context has one likelihood, whoever asks: every command agrees with sums written out here."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Cli = Callable[..., Any]

TOLERANCE = 1e-5
"""Nats a token, in float32."""

LINE = "The farmer sells 🍎 at the café ."
every_model = pytest.mark.parametrize("backbone", ["lstm", "rnn"])
every_tokenizer = pytest.mark.parametrize("tokenizer", ["word", "char", "byte", "bpe", "unigram"])
without_parts_of_words = pytest.mark.parametrize("tokenizer", ["word", "char", "byte"])
"""A word that can be put together from several tokens in several ways is likelier than each of them."""


@pytest.fixture
def run(backbone: str, tokenizer: str, here: Path, add_run: Callable[..., None]) -> Any:
    """A model that was trained long enough to have opinions, loaded."""
    add_run(
        "runs/tiny",
        f"model.backbone.name={backbone}",
        f"data.tokenizer={{name: {tokenizer}}}",
        "optimizer.learning_rate=0.02",
        "training.n_steps=60",
    )
    (here / "line.txt").write_text(LINE + "\n", "utf-8")
    from lstmlm.workflows import load

    return load(Path("runs/tiny"))


def by_hand(run: Any) -> np.ndarray:
    """Return the nats of every token of the line, from the weights alone: equations of the cell, then a softmax."""
    weights = {name: weight.double().numpy() for name, weight in run.model.state_dict().items()}
    w_ih, w_hh, bias = (weights[f"backbone.cells.0.{name}"] for name in ("weight_ih", "weight_hh", "bias"))
    embedding, nats = weights["embedding.weight"], []
    hidden = cell = np.zeros(w_hh.shape[1])
    ids = [run.tokenizer.start_id, *run.tokenizer.encode(LINE + "\n").tolist()]
    for token, following in pairwise(ids):
        sums = w_ih @ embedding[token] + w_hh @ hidden + bias
        if len(sums) == len(hidden):
            hidden = np.tanh(sums)
        else:
            i, f, g, o = np.split(sums, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
        logits = embedding @ hidden + weights["output_layer.bias"]
        nats.append(np.log(np.exp(logits).sum()) - logits[following])
    return np.array(nats)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@every_model
@every_tokenizer
def test_every_command_gives_a_line_the_same_likelihood(run: Any, here: Path, lstmlm: Cli) -> None:
    (here / "nbest.txt").write_text(f"call-1 {LINE}\ncall-2 The miller\n", "utf-8")
    (here / "pairs.tsv").write_text(f"{LINE}\tThe miller\n", "utf-8")
    perplexity = json.loads(lstmlm("eval", "perplexity", "--text", "line.txt", "--json").stdout)
    by_line = json.loads(lstmlm("eval", "perplexity", "--text", "line.txt", "--context", "line", "--json").stdout)
    words = list(map(json.loads, lstmlm("eval", "surprisal", "line.txt", "--jsonl").stdout.splitlines()))
    rescored = json.loads(lstmlm("eval", "rescore", "nbest.txt", "--json").stdout)["rows"]
    assert lstmlm("eval", "pairs", "pairs.tsv", "--items", "items.tsv").exit_code == 0
    header, item = (line.split("\t") for line in (here / "items.tsv").read_text("utf-8").splitlines())

    wanted = by_hand(run)
    found = {
        "perplexity": perplexity["nats"],
        "line": by_line["nats"],
        "surprisal": sum(word["surprisal_bits"] for word in words) * math.log(2),
        "rescore": rescored[0]["lm_nats"],
        "pairs": float(dict(zip(header, item, strict=True))["nats_good"]),
    }
    assert perplexity["n_tokens"] == len(wanted)
    assert found == pytest.approx(dict.fromkeys(found, wanted.sum()), abs=TOLERANCE * len(wanted))


@every_model
@without_parts_of_words
def test_the_next_word_is_as_likely_as_it_is_surprising(run: Any, here: Path, lstmlm: Cli) -> None:
    [found] = json.loads(lstmlm("next", "The farmer", "--top", "1", "--json").stdout)["words"]
    (here / "next.txt").write_text(
        f"The farmer {found['word']}\n" if found["word"] != "<eos>" else "The farmer\n", "utf-8"
    )
    _, _, third, *_ = map(json.loads, lstmlm("eval", "surprisal", "next.txt", "--jsonl").stdout.splitlines())
    assert third["word"] == found["word"]
    after_one_blank = -third["surprisal_bits"]
    if run.run.config.data.tokenizer.name in ("char", "byte"):  # the other white space that these know adds something
        assert math.log2(found["probability"]) >= after_one_blank - TOLERANCE * 20
    else:
        assert math.log2(found["probability"]) == pytest.approx(after_one_blank, abs=TOLERANCE * 20)


@every_model
@every_tokenizer
def test_what_is_generated_is_as_likely_as_the_sampler_says(run: Any) -> None:
    from lstmlm.generation.options import SamplingOptions
    from lstmlm.generation.sampler import generate
    from lstmlm.scoring import score_each

    prompt = run.tokenizer.encode_prompt("The farmer")
    options = SamplingOptions(max_tokens=20, temperature=0.7, top_k=5, allow_unk=True)
    sampled = list(generate(run.model, run.tokenizer, "The farmer", options, [1, 2]))
    texts = [[*prompt, *(int(step.ids[sample]) for step in sampled)] for sample in range(2)]
    for sample, nats in enumerate(score_each(run.model, texts, run.tokenizer.start_id)):
        said = [-float(step.log_probabilities[sample]) for step in sampled]
        np.testing.assert_allclose(nats[len(prompt) :], said, rtol=0, atol=TOLERANCE)
