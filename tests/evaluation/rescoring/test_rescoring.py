"""Rescored lists: the same nats as everywhere, whatever else is in a list."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmlm.config.data import (
    ByteTokenizerOptions,
    CharTokenizerOptions,
    EosPlace,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.corpus.reading.text_files import Line
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.reading import Reading
from lstmlm.evaluation.rescoring.combination import Combination
from lstmlm.evaluation.rescoring.formats import Hypothesis, ScoredHypothesis
from lstmlm.evaluation.rescoring.rescoring import Rescorer, RescoringOptions, evaluate_rescoring
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import score

TEXT = "the pears are ripe\nthe café sells 🍐 pears\nare the pears ripe\n"
TEXTS = [["the pears are ripe", "the pear is ripe", "the pears", ""], ["the café sells 🍐"], ["are", "are the pears"]]

each_tokenizer = pytest.mark.parametrize(
    "tokenizer_options", [WordTokenizerOptions(), CharTokenizerOptions(), ByteTokenizerOptions()]
)


def lists_of(texts: Sequence[Sequence[str]]) -> list[list[Hypothesis]]:
    """Make lists in which the acoustic score falls by 1 from each hypothesis to the next."""
    return [
        [Hypothesis(f"u{row}", text, -float(rank), Line(Path("lists"), 1, "")) for rank, text in enumerate(of_one)]
        for row, of_one in enumerate(texts)
    ]


def trained(tokenizer_options: TokenizerOptions, backbone: type = LSTMOptions) -> tuple[LanguageModel, Tokenizer]:
    tokenizer = train_tokenizer(tokenizer_options, [TEXT])
    options = ModelOptions(backbone=backbone(n_layers=2, hidden_size=8), embedding_size=8)
    model = build_language_model(options, tokenizer.vocab_size, seed=1).double()
    model.embedding.weight.data.mul_(20)  # a model with opinions
    return model, tokenizer


def rescorer(model: LanguageModel, tokenizer: Tokenizer, **combination: float) -> Rescorer:
    return Rescorer(model, tokenizer, Combination(**combination), "wer")


def nats_of(lists: Sequence[Sequence[ScoredHypothesis]]) -> list[list[float]]:
    return [[scored.lm_nats for scored in of_one] for of_one in lists]


@each_tokenizer
@pytest.mark.parametrize("backbone", [LSTMOptions, RNNOptions])
def test_a_hypothesis_is_scored_as_a_text_of_its_own(tokenizer_options: TokenizerOptions, backbone: type) -> None:
    model, tokenizer = trained(tokenizer_options, backbone)
    found = rescorer(model, tokenizer).rescore(lists_of(TEXTS))
    for texts, scored_list in zip(TEXTS, found, strict=True):
        for text, scored in zip(texts, scored_list, strict=True):
            tokens = tokenizer.encode(f"{text}\n")
            assert scored.lm_nats == pytest.approx(score(model, tokens, tokenizer.start_id).sum(), abs=1e-11)
            assert scored.n_tokens == len(tokens)


def test_hypotheses_do_not_know_of_each_other() -> None:
    asked = rescorer(*trained(WordTokenizerOptions()))
    together = nats_of(asked.rescore(lists_of(TEXTS)))
    alone = [[nats_of(asked.rescore(lists_of([[text]])))[0][0] for text in texts] for texts in TEXTS]
    for found, wanted in zip(together, alone, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@each_tokenizer
def test_with_carried_state_the_chosen_hypotheses_are_one_text(tokenizer_options: TokenizerOptions) -> None:
    model, tokenizer = trained(tokenizer_options)
    # The language model counts so little that the first of each list is chosen.
    asked = rescorer(model, tokenizer, weight=0.0)
    found = nats_of(asked.rescore_in_context(lists_of(TEXTS)))
    lines = [tokenizer.encode(f"{texts[0]}\n") for texts in TEXTS]
    whole = score(model, np.concatenate(lines), tokenizer.start_id)
    wanted = [nats.sum() for nats in np.split(whole, np.cumsum([len(line) for line in lines])[:-1])]
    np.testing.assert_allclose([of_one[0] for of_one in found], wanted, rtol=0, atol=1e-11)
    # So is the last hypothesis of the last list, in place of the first.
    last = np.concatenate([*lines[:-1], tokenizer.encode(f"{TEXTS[-1][-1]}\n")])
    wanted_last = score(model, last, tokenizer.start_id)[sum(map(len, lines[:-1])) :].sum()
    assert found[-1][-1] == pytest.approx(wanted_last, abs=1e-11)


@each_tokenizer
@pytest.mark.parametrize("eos", ["never", "document"])
def test_with_carried_state_no_line_ends_within_a_text_that_has_none(
    tokenizer_options: TokenizerOptions, eos: EosPlace
) -> None:
    model, tokenizer = trained(tokenizer_options)
    asked = replace(rescorer(model, tokenizer, weight=0.0), reading=Reading(eos=eos))
    # An utterance in which nothing was said changes nothing.
    found = nats_of(asked.rescore_in_context(lists_of([TEXTS[0], [""], *TEXTS[1:]])))
    del found[1]
    parts = [tokenizer.encode_prompt(text) for text in (TEXTS[0][0], f" {TEXTS[1][0]}", f" {TEXTS[2][0]}")]
    whole = score(model, np.concatenate(parts), tokenizer.start_id)
    wanted = [nats.sum() for nats in np.split(whole, np.cumsum([len(part) for part in parts])[:-1])]
    np.testing.assert_allclose([of_one[0] for of_one in found], wanted, rtol=0, atol=1e-11)


def test_with_carried_state_the_weights_decide_what_is_read_on() -> None:
    model, tokenizer = trained(WordTokenizerOptions())
    by_words = rescorer(model, tokenizer, weight=0.0, length_bonus=-100.0)
    found = nats_of(by_words.rescore_in_context(lists_of(TEXTS[:2])))
    # The empty hypothesis is the shortest.
    wanted = score(model, tokenizer.encode(f"\n{TEXTS[1][0]}\n"), tokenizer.start_id)[1:].sum()
    assert found[1][0] == pytest.approx(wanted, abs=1e-11)


def test_counts_and_totals() -> None:
    asked = rescorer(*trained(WordTokenizerOptions()), weight=0.5, length_bonus=2.0)
    [[ripe, pear, pears, empty], *_] = asked.rescore(lists_of(TEXTS))
    assert [(one.n_tokens, one.n_unk, one.length) for one in (ripe, pear, pears, empty)] == [
        (5, 0, 4),
        (5, 2, 4),
        (3, 0, 2),
        (1, 0, 0),
    ]
    assert pear.total == pytest.approx(-1 - 0.5 * pear.lm_nats + 2 * 4)


def evaluate(texts: Sequence[Sequence[str]], references: dict[str, str], options: RescoringOptions) -> Any:
    return evaluate_rescoring(*trained(WordTokenizerOptions()), lists_of(texts), references, options, "runs/x")


def test_rows_are_hypotheses_with_their_ranks() -> None:
    rescoring = evaluate(TEXTS, {}, RescoringOptions())
    rows = rescoring.report.rows
    assert [(row["utterance"], row["hypothesis"], row["text"]) for row in rows] == [
        (f"u{utterance}", rank, text) for utterance, texts in enumerate(TEXTS) for rank, text in enumerate(texts, 1)
    ]
    totals = {row["rank"]: row["total"] for row in rows[:4]}
    assert sorted(totals) == [1, 2, 3, 4]
    assert totals[1] > totals[2] > totals[3] > totals[4]
    values = rescoring.report.values
    assert (values["n_utterances"], values["n_hypotheses"], values["context"]) == (3, 7, "reset")


def test_errors_with_weights_that_are_given() -> None:
    options = RescoringOptions(Combination(weight=0.0, length_bonus=10.0))
    rescoring = evaluate(TEXTS, {"u0": "the pears", "u2": "are the pears"}, options)
    assert [(row["choice"], row["n_errors"], row["error_rate"]) for row in rescoring.report.rows] == [
        ("1-best", 4, 4 / 5),
        ("rescored", 2, 2 / 5),
        ("oracle", 0, 0.0),
        ("reduction", 2, 2 / 5),
    ]
    assert (rescoring.report.values["n_tuned"], rescoring.report.values["n_measured"]) == (0, 2)


def test_weights_are_searched_on_the_first_half_and_measured_on_the_second() -> None:
    texts = [["the", "the pears are ripe"]] * 5
    said = {f"u{number}": "the pears are ripe" if number < 2 else "the" for number in range(5)}
    rescoring = evaluate(texts, said, RescoringOptions(None))
    values = rescoring.report.values
    assert (values["n_tuned"], values["n_measured"]) == (2, 3)
    # What the first half wants is the longer hypothesis, and the second half suffers from it.
    assert [row["n_errors"] for row in rescoring.report.rows] == [0, 9, 0, -9]
    combination = Combination(values["weight"], values["length_bonus"])
    for scored in (one for of_one in rescoring.lists for one in of_one):
        assert scored.total == combination.total(scored.hypothesis.acoustic_score, scored.lm_nats, scored.length, 0.0)
    assert all(of_one[1].total > of_one[0].total for of_one in rescoring.lists)


def test_lists_without_the_scores_that_are_weighed(caplog: pytest.LogCaptureFixture) -> None:
    silent = [[replace(one, acoustic_score=0.0) for one in hypotheses] for hypotheses in lists_of(TEXTS)]

    def ask(options: RescoringOptions, lists: Any = silent, references: Any = None) -> None:
        evaluate_rescoring(*trained(WordTokenizerOptions()), lists, references or {}, options, "runs/x")

    problem = "no hypothesis has a score but the network's. Those of Kaldi lists are in another file: --scores FILE"
    with pytest.raises(DataError) as refusal:
        ask(RescoringOptions(None))
    assert str(refusal.value) == f"--tune: {problem}"
    ask(RescoringOptions())
    assert caplog.messages == []  # the network's scores need no others
    references = {name: hypotheses[0] for name, hypotheses in zip(("u1", "u2", "u3"), TEXTS, strict=False)}
    ask(RescoringOptions(), references=references)
    assert caplog.messages == [problem]
    of_first_pass = [[replace(one, first_pass_score=float(n)) for n, one in enumerate(row)] for row in silent]
    ask(RescoringOptions(None), of_first_pass, references)  # its share can be searched
    with pytest.raises(ConfigError) as useless:
        ask(RescoringOptions(Combination(first_pass_weight=0.7)))
    assert str(useless.value) == (
        "--first-pass-weight 0.7: has no effect, as no hypothesis has a first-pass score. Leave it out."
    )


def test_a_single_utterance_cannot_be_tuned_and_measured() -> None:
    with pytest.raises(DataError) as refusal:
        evaluate(TEXTS, {"u1": "the café"}, RescoringOptions(None))
    assert str(refusal.value) == (
        "--tune: needs 2 utterances with a reference, one to search on and one to measure, got 1. "
        "Give --references and a --weight."
    )
