"""The rules of `lstmlm init`: which tokens, windows and widths follow from which counts."""

from pathlib import Path

import numpy as np
import pytest

from lstmlm.advice.choices import MOST_PASSES, Choice, choose_model, choose_tokens, choose_training, choose_windows
from lstmlm.advice.survey import Survey, survey
from lstmlm.config.data import DataOptions


def seen(**changes: object) -> Survey:
    """A novel: 40 words that occur 10,000 times, and 9,960 that occur ten times."""
    counts = np.array([10_000] * 40 + [10] * 9_960)
    values = {
        "n_chars": 2_500_000,
        "n_bytes": 2_600_000,
        "n_white_space_words": 450_000,
        "looked_at": 1.0,
        "n_distinct_chars": 90,
        "n_single_chars": 4,
        "word_counts": counts,
        "is_tokenised": False,
        "is_indented": False,
        "chars_per_line": 60.0,
    }
    return Survey(**(values | changes))  # type: ignore[arg-type]


def values_of(choices: list[Choice]) -> dict[str, object]:
    return {choice.key.rsplit(".", 1)[-1]: choice.value for choice in choices}


def test_running_text_is_words_of_which_enough_are_kept() -> None:
    # 40 x 10,000 + 7,960 x 10 of 499,600 are 96 %: less than is wanted, and 16,000 are more than there are.
    assert values_of(choose_tokens(seen())) == {"name": "word", "split": "punctuation", "min_count": 2}
    part = seen(looked_at=0.1)
    assert values_of(choose_tokens(part)) == {"name": "word", "split": "punctuation", "max_vocab": 8_000}
    enough = seen(word_counts=np.array([10_000] * 40 + [2] * 9_960))
    choices = choose_tokens(enough)
    assert values_of(choices) == {"name": "word", "split": "punctuation", "max_vocab": 4_000}
    # 40 x 10,000 + 3,960 x 2 of 419,920.
    assert choices[-1].reason == "4,000 of 10,000 words: 97.1% of the text"
    rare = choose_tokens(seen(word_counts=np.array([10_000] * 40 + [1] * 9_960)))
    assert rare[-1].reason == "40 of 10,000 words occur more than once; the others teach what <unk> is like"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"n_chars": 3_000, "n_white_space_words": 500}, "char"),
        ({"n_white_space_words": 20_000}, "char"),
        ({"is_indented": True}, "bpe"),
        ({"word_counts": np.array([100] * 400 + [1] * 9_000)}, "bpe"),
        ({"word_counts": np.array([100] * 400 + [1] * 9_000), "n_distinct_chars": 4_000}, "char"),
        ({"word_counts": np.array([100] * 900 + [1] * 9_000), "n_distinct_chars": 4_000}, "word"),
    ],
)
def test_words_are_for_text_that_has_them_and_repeats_them(changes: dict[str, object], name: str) -> None:
    assert values_of(choose_tokens(seen(**changes)))["name"] == name


def test_a_text_without_any_blank_is_characters_whatever_its_length(tmp_path: Path) -> None:
    (tmp_path / "genome.txt").write_text("ACGT" * 600_000, "utf-8")
    found = survey(DataOptions(corpus=str(tmp_path / "genome.txt")))
    assert (found.n_chars, found.n_white_space_words, found.has_words) == (2_160_000, 1, False)
    assert values_of(choose_tokens(found))["name"] == "char"


@pytest.mark.parametrize(
    ("n_rare", "reason"),
    [
        (4, "4 of 90 characters occur once: they teach what <unk> is like"),
        (0, "each of 90 characters occurs more than once: others will be <unk>"),
    ],
)
def test_what_teaches_unknown_characters_is_said_where_there_is_some(n_rare: int, reason: str) -> None:
    assert choose_tokens(seen(n_white_space_words=20_000, n_single_chars=n_rare))[-1].reason == reason


def test_text_whose_marks_stand_alone_is_cut_at_white_space() -> None:
    assert values_of(choose_tokens(seen(is_tokenised=True)))["split"] == "whitespace"


@pytest.mark.parametrize("n_tokens", [300, 2_000, 40_000, 1_000_000])
def test_windows_fit_the_text(n_tokens: int) -> None:
    found = values_of(choose_windows(seen(), "char", n_tokens))
    batch_size, bptt = found["batch_size"], found["bptt"]
    assert isinstance(batch_size, int)
    assert isinstance(bptt, int)
    assert batch_size * (bptt + 1) <= n_tokens
    assert batch_size == 32 or n_tokens < 1_000_000


def test_little_text_has_one_layer_and_a_large_vocabulary_clusters() -> None:
    assert values_of(choose_model("word", 8_000, 50_000, 40, 200)) == {
        "name": "adaptive",
        "n_layers": 1,
        "hidden_size": 200,
        "input_gate_cap": True,
        "embedding_size": 200,
        "tie_weights": True,
        "initial_bias": "unigram",
        "ngram_order": 5,
    }
    characters = values_of(choose_model("char", 80, 1_000_000, 40, 200))
    assert characters["ngram_order"] == 6
    assert "ngram_order" not in values_of(choose_model("char", 80, 3_000_000, 40, 200))
    assert "ngram_order" not in values_of(choose_model("word", 8_000, 50_000, 3, 200))
    assert values_of(choose_model("word", 8_000, 10_000_000, 40, 200))["ngram_order"] == 3
    assert "ngram_order" not in values_of(choose_model("word", 8_000, 30_000_000, 40, 200))
    assert (characters["n_layers"], characters["embedding_size"], characters["tie_weights"]) == (2, 64, False)
    assert "skip" not in characters
    assert values_of(choose_model("word", 8_000, 1_000_000, 40, 200))["skip"] == "layer_sum"


def test_what_is_read_often_is_dropped_more_and_not_longer_than_helps() -> None:
    once = values_of(choose_training(200, 2, 1_000_000, 1_000, 1.0, "10m"))
    often = values_of(choose_training(200, 2, 1_000_000, 10_000, 20.0, "10m"))
    assert once["output"] == 0.0
    assert often["output"] == 0.3
    assert once["budget"] == often["budget"] == "10m"
    by_heart = values_of(choose_training(64, 1, 2_000, 100_000, 900.0, "10m"))
    assert by_heart["n_epochs"] == MOST_PASSES
    assert "budget" not in by_heart
    assert "hidden" not in by_heart
