"""Two models on one text: the figures by hand, and what cannot be compared."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.data import ByteTokenizerOptions, CharTokenizerOptions, WordTokenizerOptions
from lstmlm.errors import DataError
from lstmlm.evaluation.bootstrap import joint_confidence, ratio_interval
from lstmlm.evaluation.perplexity.comparison import Contestant, compare_models
from lstmlm.scoring import score

WORDS, CHARACTERS, BYTES = WordTokenizerOptions(), CharTokenizerOptions(), ByteTokenizerOptions()
TEXT = "the cat sat\n\nthe <unk> sat on the mat\nthe mat\né sat\n"


def line_nats(contestant: Contestant) -> np.ndarray:
    tokens, start_id = contestant.text.tokens, contestant.tokenizer.start_id
    nats, of_lines = score(contestant.model, tokens, start_id, n_columns=1), [0.0]
    for token, of_token in zip(tokens.tolist(), nats.tolist(), strict=True):
        of_lines[-1] += of_token
        if token == start_id:
            of_lines.append(0.0)
    return np.array(of_lines[:-1])


def test_the_same_tokens_compare_by_perplexity(read: Any) -> None:
    a, b = (read(TEXT, TEXT, WORDS, run=f"runs/{seed}", seed=seed) for seed in (1, 2))
    report = compare_models(a, b)
    nats_a, nats_b, line_tokens = line_nats(a), line_nats(b), np.array([4, 1, 7, 3, 3])
    low, high = ratio_interval(nats_b - nats_a, line_tokens)
    [row] = report.rows
    assert row == {
        "figure": "perplexity",
        "a": pytest.approx(math.exp(nats_a.sum() / 18), rel=1e-12),
        "b": pytest.approx(math.exp(nats_b.sum() / 18), rel=1e-12),
        "ratio": pytest.approx(math.exp((nats_b - nats_a).sum() / 18), rel=1e-12),
        "low": pytest.approx(math.exp(low), rel=1e-9),
        "high": pytest.approx(math.exp(high), rel=1e-9),
    }
    assert (
        list(report.values)
        == (
            "run_a run_b text split n_lines resampled better confidence n_resamples text_sha256 "
            "fingerprint_a fingerprint_b"
        ).split()
    )
    assert (report.values["run_a"], report.values["run_b"], report.values["n_lines"]) == ("runs/1", "runs/2", 5)
    assert report.values["fingerprint_a"] == report.values["fingerprint_b"]
    one_of_three = compare_models(a, b, n_pairs=3)
    wider = ratio_interval(nats_b - nats_a, line_tokens, joint_confidence(3))
    assert (one_of_three.rows[0]["low"], one_of_three.rows[0]["high"]) == pytest.approx(tuple(map(math.exp, wider)))
    assert one_of_three.values["confidence"] == pytest.approx(1 - 0.05 / 3)


def test_other_tokens_compare_by_bits(read: Any) -> None:
    a, b = read(TEXT, TEXT, WORDS), read(TEXT, TEXT, BYTES)
    report = compare_models(a, b)
    bits_a, bits_b = line_nats(a) / math.log(2), line_nats(b) / math.log(2)
    line_units = {"bits_per_char": [12, 1, 25, 8, 6], "bits_per_byte": [12, 1, 25, 8, 7]}
    for row, (figure, units) in zip(report.rows, line_units.items(), strict=True):
        low, high = ratio_interval(bits_b - bits_a, np.array(units))
        assert row == {
            "figure": figure,
            "a": pytest.approx(bits_a.sum() / sum(units), rel=1e-12),
            "b": pytest.approx(bits_b.sum() / sum(units), rel=1e-12),
            "difference": pytest.approx((bits_b - bits_a).sum() / sum(units), rel=1e-12),
            "low": pytest.approx(low, rel=1e-9),
            "high": pytest.approx(high, rel=1e-9),
        }
    assert report.values["fingerprint_a"] != report.values["fingerprint_b"]


def test_which_one_is_better(read: Any) -> None:
    uniform, unigram = (read(TEXT * 10, TEXT, WORDS) for _ in range(2))
    with torch.no_grad():
        uniform.model.embedding.weight.zero_()
        unigram.model.embedding.weight.zero_()
    unigram.model.output_layer.start_from_unigram(unigram.text.count_tokens(unigram.tokenizer.vocab_size))
    assert compare_models(uniform, unigram).values["better"] == "b"
    assert compare_models(unigram, uniform).values["better"] == "a"
    assert compare_models(uniform, uniform).values["better"] is None


def test_a_single_line_tells_nothing_of_others(read: Any) -> None:
    a, b = (read("the cat sat", TEXT, WORDS, seed=seed) for seed in (1, 2))
    report = compare_models(a, b)
    assert (report.values["better"], report.values["n_resamples"]) == (None, 0)
    assert '"low": null, "high": null' in report.to_json()


def test_different_texts(read: Any) -> None:
    a, b = read("the cat\n", TEXT, WORDS, run="runs/a"), read("the mat\n", TEXT, WORDS, run="runs/b")
    with pytest.raises(DataError) as caught:
        compare_models(a, b)
    assert str(caught.value) == (
        f"{a.text.name}: is read in two ways by runs/a (SHA-256 {a.text.sha256[:12]}) and runs/b "
        f"({b.text.sha256[:12]}), as their data.eos or data.field differ. Compare runs that agree in these."
    )
    b = replace(b, text=replace(b.text, name="other.txt"))
    with pytest.raises(DataError) as caught:
        compare_models(a, b)
    assert str(caught.value) == (
        f"runs/a and runs/b: cannot be compared on different texts, {a.text.name} (SHA-256 {a.text.sha256[:12]}) and "
        f"{b.text.name} ({b.text.sha256[:12]}). Give both the same one: --text FILE"
    )


def test_bits_where_tokens_say_less_than_the_text(read: Any) -> None:
    vocabulary = TEXT.replace("cat", "dog")
    a, b = read(TEXT, vocabulary, WORDS, run="runs/a"), read(TEXT, TEXT, CHARACTERS, run="runs/b")
    with pytest.raises(DataError) as caught:
        compare_models(a, b)
    assert str(caught.value) == (
        f"{a.text.name}: runs/a and runs/b cut it into different tokens, and bits per byte flatter a model whose "
        "tokens leave out what the text says: of runs/a, 1 tokens are <unk>, or none at all, in place of what the text "
        "says. Compare runs that share a tokenizer, or on a text that both give back."
    )
    same, other = (read(TEXT, vocabulary, WORDS, seed=seed) for seed in (1, 2))
    assert compare_models(same, other).rows[0]["figure"] == "perplexity"


def test_a_line_end_that_is_a_word(read: Any) -> None:
    text = "the cat <eos>\nthe mat\n"
    a, b = read(text, text, CHARACTERS, run="runs/a"), read(text, text, WORDS, run="runs/b")
    with pytest.raises(DataError) as caught:
        compare_models(a, b)
    assert str(caught.value) == (
        f"{a.text.name}: has 2 lines, but runs/b reads 3, because the word <eos> ends one. "
        "Remove that word from the text."
    )
    compare_models(b, b)
