"""Files of log-probabilities: what they hold, what is refused, and how models are combined by them."""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.config.data import CharTokenizerOptions, WordTokenizerOptions
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.perplexity.combination import combine_files
from lstmlm.evaluation.perplexity.ensemble import evaluate_ensemble
from lstmlm.evaluation.perplexity.perplexity import evaluate_perplexity
from lstmlm.evaluation.perplexity.token_file import read_token_file, write_token_file

WORDS = WordTokenizerOptions()
VALID = "the cat sat\nthe mat sat on the mat\n" * 3
TEST = "the mat sat\nthe cat sat on the cat\n" * 5

Write = Callable[..., Path]


@pytest.fixture
def write(read: Any, tmp_path: Path) -> Write:
    """Return a function that writes what a model says of a text."""

    def write(text: str, split: str, seed: int, options: Any = WORDS, context: str = "document") -> Path:
        asked = read(text, VALID, options, run=f"runs/{seed}", seed=seed)
        encoded = replace(asked.text, split=split)
        report = evaluate_perplexity(asked.model, encoded, asked.tokenizer, asked.run, context)
        path = tmp_path / f"{seed}-{split}-{context}-{options.name}.safetensors"
        write_token_file(path, report)
        return path

    return write


def edited(path: Path, texts: dict[str, str] | None = None, **tensors: torch.Tensor) -> Path:
    with path.open("rb") as file:
        content = TensorFile.read(file, path.stat().st_size)
    path.write_bytes(b"".join(TensorFile.of({**content.tensors, **tensors}, {**content.metadata, **(texts or {})})))
    return path


def test_a_file_is_what_its_description_says(write: Write, read: Any) -> None:
    content = write(TEST, "test", 1).read_bytes()
    [n_header_bytes] = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + n_header_bytes])
    asked = read(TEST, VALID, WORDS, run="runs/1", seed=1)
    n_tokens = asked.text.n_tokens
    assert header["log_probabilities"] == {"dtype": "F64", "shape": [n_tokens], "data_offsets": [0, 8 * n_tokens]}
    report = evaluate_perplexity(asked.model, asked.text, asked.tokenizer, asked.run)
    assert header["__metadata__"] == {
        "format": "lstmlm log-probabilities 1",
        "model": "runs/1",
        "split": "test",
        **{
            name: report.values[name]
            for name in "text_sha256 tokenizer_sha256 context counted normalization fingerprint".split()
        },
    }
    log_probabilities = np.frombuffer(content[8 + n_header_bytes :])
    assert -log_probabilities.sum() == pytest.approx(report.values["nats"], rel=1e-12)


def test_other_programs_may_write_one(write: Write, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    theirs = read_token_file(write(TEST, "test", 1))
    with (tmp_path / "1-test-document-word.safetensors").open("rb") as file:
        metadata = TensorFile.read(file, (tmp_path / "1-test-document-word.safetensors").stat().st_size).metadata
    tensors = {"log_probabilities": torch.from_numpy(-theirs.nats).float()}
    safetensors.save_file(tensors, tmp_path / "theirs.safetensors", {**metadata, "model": "theirs", "note": "any"})
    found = read_token_file(tmp_path / "theirs.safetensors")
    assert found.texts["model"] == "theirs"
    assert found.nats == pytest.approx(theirs.nats, rel=1e-6)


def test_weights_are_found_on_one_text_and_measured_on_another(write: Write) -> None:
    paths = [write(text, split, seed) for text, split in ((VALID, "valid"), (TEST, "test")) for seed in (1, 2, 3)]
    report = combine_files(paths, "valid")
    *models, equal, combined = report.rows
    assert [row["model"] for row in models] == ["runs/1", "runs/2", "runs/3"]
    weights = [row["weight"] for row in models]
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    assert (report.values["weights_from"], report.values["split"], report.values["n_tokens"]) == ("valid", "test", 55)
    assert report.values["fingerprint"] == read_token_file(write(TEST, "test", 1)).texts["fingerprint"]
    of_test = [read_token_file(path).nats for path in paths[3:]]
    for row, one in zip(models, of_test, strict=True):
        assert row["perplexity"] == pytest.approx(math.exp(one.mean()), rel=1e-12)
    mixed = -np.log(weights @ np.exp(-np.stack(of_test)))
    assert combined["perplexity"] == pytest.approx(math.exp(mixed.mean()), rel=1e-9)
    assert (equal["model"], combined["model"], equal["weight"]) == ("equal weights", "combined", None)
    # No weights suit the validation text better, and what the test text says does not count.
    valid = np.stack([read_token_file(path).nats for path in paths[:3]])
    best = -np.log(weights @ np.exp(-valid)).mean()
    for other in np.random.default_rng(0).dirichlet(np.ones(3), size=200):
        assert best <= -np.log(other @ np.exp(-valid)).mean() + 1e-9


def test_equal_weights_are_the_ensemble(write: Write, read: Any) -> None:
    paths = [write(text, split, seed) for text, split in ((VALID, "valid"), (TEST, "test")) for seed in (1, 2)]
    asked = [read(TEST, VALID, WORDS, run=f"runs/{seed}", seed=seed) for seed in (1, 2)]
    together = evaluate_ensemble({one.run: one.model for one in asked}, asked[0].text, asked[0].tokenizer)
    *_, equal, _ = combine_files(paths, "valid").rows
    assert equal["perplexity"] == pytest.approx(together.rows[-1]["perplexity"], rel=1e-12)


def test_of_one_text_the_first_half_finds_the_weights(write: Write) -> None:
    paths = [write(TEST, "test", seed) for seed in (1, 2)]
    report = combine_files(paths, None)
    assert (report.values["weights_from"], report.values["n_tokens"]) == ("the first half of test", 28)
    # Its figures are not those of the whole text.
    assert [report.values[name] for name in ("split", "fingerprint", "text_sha256")] == [
        "test (second half)",
        None,
        None,
    ]
    first, second = (read_token_file(path).nats for path in paths)
    assert [row["perplexity"] for row in report.rows[:2]] == pytest.approx(
        [math.exp(first[27:].mean()), math.exp(second[27:].mean())]
    )
    # What is measured has no part in the weights.
    for path in paths:
        of_half = torch.from_numpy(-read_token_file(path).nats)
        of_half[27:] = -1.0
        edited(path, log_probabilities=of_half)
    assert [row["weight"] for row in combine_files(paths, None).rows] == [row["weight"] for row in report.rows]


def message(paths: list[Path], tune: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        combine_files(paths, tune)
    return str(caught.value)


def test_files_that_do_not_belong_together(write: Write) -> None:
    one = write(TEST, "test", 1)
    assert f"2-test-document-word.safetensors: is of another text than {one} (text_sha256 " in message(
        [one, write(VALID, "test", 2)]
    )
    assert f"2-test-document-char.safetensors: is of another tokenizer than {one} (tokenizer_sha256 " in message(
        [one, write(TEST, "test", 2, CharTokenizerOptions())]
    )
    assert (
        f"2-test-line-word.safetensors: is of another context than {one} (context 'line', not 'document')"
        in message([one, write(TEST, "test", 2, context="line")])
    )
    other = edited(write(TEST, "test", 2), {"format": "lstmlm log-probabilities 2"})
    assert message([one, other]).startswith(
        f"{other}: is of format 'lstmlm log-probabilities 2', read is 'lstmlm log-probabilities 1'."
    )
    other = edited(write(TEST, "test", 2), {"normalization": "2 of others"})
    assert "is of another version of normalization than" in message([one, other])
    other = edited(write(TEST, "test", 2), log_probabilities=torch.zeros(54))
    assert message([one, other]).startswith(f"{other}: has 54 tokens, {one} has 55 of the same text.")


def test_files_that_are_none(write: Write, tmp_path: Path) -> None:
    one, missing = write(TEST, "test", 1), tmp_path / "missing"
    assert message([one, missing]).startswith(f"{missing}: no such file. Check the path")
    (tmp_path / "text").write_text("the cat sat on the mat\n", encoding="utf-8")
    assert message([one, tmp_path / "text"]).startswith(f"{tmp_path / 'text'}: is no safetensors file (")
    other = write(TEST, "test", 2)
    for value, shown in ((0.5, "0.5"), (math.nan, "nan"), (-math.inf, "-inf")):
        numbers = -torch.ones(55)
        numbers[7] = value
        edited(other, log_probabilities=numbers)
        assert message([one, other]).startswith(f"{other}: {shown}, of token 7, is no logarithm of a probability.")
    edited(other, log_probabilities=torch.ones(55, dtype=torch.int64))
    assert "has torch.int64 [55] as log_probabilities, not a number for each token" in message([one, other])
    other.write_bytes(b"".join(TensorFile.of({"x": torch.ones(55)}, {"format": "lstmlm log-probabilities 1"})))
    assert message([one, other]).startswith(f"{other}: does not say model, split, text_sha256,")


@pytest.mark.parametrize("name", ["combined", "equal weights"])
def test_a_model_that_is_called_like_all_together_is_refused(write: Write, name: str) -> None:
    paths = [write(TEST, "test", 1), edited(write(TEST, "test", 2), {"model": name})]
    with pytest.raises(ConfigError, match=f"^{name}: is what another row of the table is called"):
        combine_files(paths, None)


def test_splits_and_models_that_are_missing(write: Write) -> None:
    valid = [write(VALID, "valid", seed) for seed in (1, 2)]
    test = [write(TEST, "test", seed) for seed in (1, 2)]
    assert message([*valid, *test]) == (
        "FILE: there are files of 'valid' and 'test'. Say which finds the weights: --tune valid"
    )
    assert message([*valid, *test], "train").startswith("--tune: needs files of 'train' and of one other split, got")
    assert message([*valid, test[0]], "valid").startswith("FILE: there is one model, 'runs/1', and two or more are")
    third = write(TEST, "test", 3)
    assert message([*valid, *test, third], "valid") == (
        f"{third}: is of model 'runs/3', of which there is no file of 'valid'. Add it, or leave this one out."
    )
    assert message([valid[0], valid[0]]).startswith(f"{valid[0]}: is of model 'runs/1' and split 'valid', as is")
    for path in test:
        path.write_bytes(valid[test.index(path)].read_bytes())
        edited(path, {"split": "test"})
    assert "is of the same text as" in message([*valid, *test], "valid")
