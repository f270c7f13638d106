"""Verdicts and accuracies against numbers worked out by hand, and against the scorer for every tokenizer."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

from lstmlm.config.data import (
    ByteTokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import DataError
from lstmlm.evaluation.pairs.accuracy import PairsResult, Verdict, judge, measure_accuracy, wilson_interval
from lstmlm.evaluation.pairs.files import read_items
from lstmlm.evaluation.pairs.formulas import parse_formula
from lstmlm.evaluation.pairs.items import PAIR_FORMULA, Item
from lstmlm.evaluation.report import to_tsv
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import score, score_each

GOLDEN = Path(__file__).parent / "golden"
WORDS = train_tokenizer(WordTokenizerOptions(), ["a b c d a b c a b a\n"])


def ids_as_nats(lines: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """`<unk>` costs 0 nats, `<eos>` 1, `a` 2, `b` 3, `c` 4, `d` 5."""
    return [np.array(ids, dtype=np.float64) for ids in lines]


def pair(good: str, bad: str, paradigm: str = "x", number: str = "1") -> Item:
    return Item("x.tsv", number, paradigm, {"good": {1: good}, "bad": {1: bad}}, PAIR_FORMULA)


def measured(*items: Item | DataError) -> PairsResult:
    return measure_accuracy(items, WORDS, ids_as_nats, "runs/x", None)


def test_a_pair_by_hand() -> None:
    [verdict] = judge([pair("a b", "a z c")], WORDS, ids_as_nats)
    assert verdict == Verdict(
        file="x.tsv",
        item="1",
        paradigm="x",
        nats_good=6.0,  # 2 + 3 and 1 for <eos>
        nats_bad=7.0,  # 2 + 0 + 4 and 1 for <eos>
        correct=True,
        tie=False,
        n_unk_good=0,
        n_unk_bad=1,
        n_unk=1,
        n_tokens=5,
    )


def test_sentences_of_the_same_tokens_tie_and_count_as_wrong() -> None:
    wrong, tie, identical = judge([pair("c", "b"), pair("a y", "a z"), pair("b", "b")], WORDS, ids_as_nats)
    assert (wrong.correct, wrong.tie) == (False, False)
    assert (tie.correct, tie.tie, tie.n_unk) == (False, True, 2)
    assert (identical.correct, identical.tie) == (False, True)


def test_a_sentence_is_scored_once() -> None:
    seen: list[Sequence[int]] = []

    def listening(lines: Sequence[Sequence[int]]) -> list[np.ndarray]:
        seen.extend(lines)
        return ids_as_nats(lines)

    judge([pair("a", "b"), pair("c", "a"), pair("c", "z"), pair("c", "y")], WORDS, listening)
    assert seen == [(2, 1), (3, 1), (4, 1), (0, 1)]


@pytest.mark.parametrize(
    ("formula", "correct", "tie"),
    [
        (f"(1;%s%) = {5 / math.log(2)}", True, False),
        (f"(2;%s%) = {9 / math.log(2)}", True, False),
        ("(3;%s%) = 0", True, False),  # an empty region
        (f"(4;%s%) = {2 / math.log(2)}", True, False),  # without <eos>
        (f"(*;%s%) = {17 / math.log(2)}", True, False),  # with <eos>
        ("(1;%s%) < (2;%s%)", True, False),
        ("(1;%s%) > (2;%s%)", False, False),
        ("(4;%s%) > (1;%t%)", False, True),
        ("(4;%s%) > (1;%t%) & (1;%s%) > (2;%s%)", False, False),
    ],
)
def test_regions_by_hand(formula: str, correct: bool, tie: bool) -> None:
    sentences = {"s": {1: "a b", 2: " c d ", 3: "", 4: "a"}, "t": {1: "a"}}
    [verdict] = judge([Item("x.json", "7", "x", sentences, parse_formula(formula))], WORDS, ids_as_nats)
    assert (verdict.correct, verdict.tie) == (correct, tie)
    assert (verdict.nats_good, verdict.n_unk_bad, verdict.n_tokens) == (None, None, 6)


def test_figures_by_hand() -> None:
    problem = DataError("x.tsv:9: is broken.")
    result = measured(
        pair("a", "b", "p"),
        pair("b", "a", "p"),
        problem,
        pair("a", "c", "q"),
        pair("a y", "a z", "q"),
        pair("z", "a", "q"),
    )
    assert len(result.verdicts) == 5
    p, q = result.report.rows
    assert (
        list(p)
        == "paradigm n_items accuracy low high n_ties accuracy_ties_half n_known accuracy_known unk_rate".split()
    )
    assert (p["paradigm"], p["n_items"], p["accuracy"], p["n_ties"], p["n_known"]) == ("p", 2, 0.5, 0, 2)
    assert (q["paradigm"], q["n_items"], q["accuracy"], q["n_ties"], q["n_known"]) == (
        "q",
        3,
        pytest.approx(2 / 3),
        1,
        1,
    )
    assert (p["accuracy_known"], q["accuracy_known"]) == (0.5, 1.0)
    assert (p["unk_rate"], q["unk_rate"]) == (0.0, 3 / 8)
    values = result.report.values
    assert (values["n_paradigms"], values["n_items"], values["n_problems"]) == (2, 5, 1)
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["mean_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert (values["n_known"], values["accuracy_known"]) == (3, pytest.approx(2 / 3))
    assert values["mean_accuracy_known"] == pytest.approx((1 / 2 + 1) / 2)
    assert (values["n_ties"], values["unk_rate"], values["unk_examples"]) == (1, 3 / 12, "z y")


def test_without_a_known_item() -> None:
    values = measured(pair("z", "a")).report.values
    assert (values["mean_accuracy_known"], values["accuracy_known"], values["n_known"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("sentences", "normalization", "advice"),
    [
        (
            ["The B", "The A"],
            None,
            "hardly a sentence has known words alone. Unknown words: 4; with --normalize lowercase: 0",
        ),
        (["the B", "the A"], "lowercase", None),
        (["z y", "y x"], None, None),  # no spelling helps
        (["The B", "the a"], None, None),  # half is known
    ],
)
def test_where_nothing_is_known_another_spelling_is_advised(
    sentences: list[str], normalization: str | None, advice: str | None
) -> None:
    words = train_tokenizer(WordTokenizerOptions(), ["the a b\n"])
    result = measure_accuracy([pair(*sentences)], words, ids_as_nats, "runs/x", normalization)
    assert result.advice == advice


def test_a_sentence_that_breaks_off_has_no_end() -> None:
    whole = pair("a b", "a c c")
    [of_whole, of_prefix] = judge([whole, replace(whole, has_end=False)], WORDS, ids_as_nats)
    assert (of_whole.nats_good, of_whole.nats_bad, of_whole.n_tokens) == (6, 11, 5)
    assert (of_prefix.nats_good, of_prefix.nats_bad, of_prefix.n_tokens) == (5, 10, 5)
    assert measured(whole, replace(whole, has_end=False), whole).report.values["n_with_end"] == 2
    characters = train_tokenizer(CharTokenizerOptions(), ["a b c\n"])
    with pytest.raises(DataError, match="runs/x: cannot say how likely a word is at which a sentence breaks off"):
        measure_accuracy([replace(whole, has_end=False)], characters, ids_as_nats, "runs/x", None)


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [(0, 1, 0.0, 0.7935), (1, 1, 0.2065, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_wilson(n_correct: int, n: int, low: float, high: float) -> None:
    """The last one is the example of Newcombe (1998, table I, method 3)."""
    assert wilson_interval(n_correct, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("n", range(1, 200))
def test_an_interval_ends_at_0_and_1(n: int) -> None:
    """Rounding had left 3.1e-17 for 0 of 5, and 1.0000000000000002 for 9 of 9."""
    assert wilson_interval(0, n)[0] == 0
    assert wilson_interval(n, n)[1] == 1
    assert all(0 < low < high < 1 for low, high in (wilson_interval(part, n) for part in range(1, n)))


TEXT = "The dogs bark. Ann's dog barks at themselves, itself and é 🙂 .\n"


def tiny(tokenizer: Tokenizer, name: str) -> LanguageModel:
    backbone = {"lstm": LSTMOptions, "rnn": RNNOptions}[name](n_layers=2, hidden_size=8)
    model = build_language_model(ModelOptions(backbone=backbone, embedding_size=8), tokenizer.vocab_size, seed=1)
    with torch.no_grad():
        model.embedding.weight.mul_(20)
    return model.double()


@pytest.mark.parametrize("name", ["lstm", "rnn"])
@pytest.mark.parametrize(
    "options",
    [WordTokenizerOptions(), WordTokenizerOptions(split="punctuation"), CharTokenizerOptions(), ByteTokenizerOptions()],
    ids=["word", "punctuation", "char", "byte"],
)
def test_a_sentence_has_the_nats_of_its_line(options: TokenizerOptions, name: str) -> None:
    tokenizer = train_tokenizer(options, [TEXT])
    model = tiny(tokenizer, name)
    good, bad = "Ann's  dogs bark é 🙂 .", "The dogs barks."
    [verdict] = judge([pair(good, bad)], tokenizer, partial(score_each, model, start_id=tokenizer.start_id))
    for text, nats in ((good, verdict.nats_good), (bad, verdict.nats_bad)):
        assert nats == pytest.approx(score(model, tokenizer.encode(f"{text}\n"), tokenizer.start_id).sum(), rel=1e-12)


def test_whole_sentences_are_asked_where_tokens_do_not_tell_words(tmp_path: Path) -> None:
    library = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    library.pre_tokenizer, library.decoder = pre_tokenizers.BertPreTokenizer(), decoders.BPEDecoder()
    special_tokens = ["<unk>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=special_tokens, end_of_word_suffix="</w>")
    library.train_from_iterator([TEXT], trainer)
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = train_tokenizer(FileTokenizerOptions(path=str(tmp_path / "tokenizer.json")), [])
    [verdict] = measure_accuracy(
        [pair("The dogs bark.", "The dog  bark . ")], tokenizer, ids_as_nats, "runs/x", None
    ).verdicts
    nats = [float(sum(library.encode(text).ids) + 1) for text in ("The dogs bark.", "The dog bark .")]
    assert [verdict.nats_good, verdict.nats_bad] == nats  # </s>, which ends the line, is token 1
    breaks_off = replace(pair("The dogs", "The dog"), has_end=False)
    with pytest.raises(DataError, match="do not tell where words end"):
        measure_accuracy([breaks_off], tokenizer, ids_as_nats, "runs/x", None)


@pytest.mark.parametrize("options", [WordTokenizerOptions(split="punctuation"), CharTokenizerOptions()])
def test_regions_add_up_to_the_line_without_its_end(options: TokenizerOptions) -> None:
    tokenizer = train_tokenizer(options, [TEXT])
    model = tiny(tokenizer, "lstm")
    ids = tokenizer.encode("The dogs bark.\n")
    nats = score(model, ids, tokenizer.start_id)
    wanted = {"(*;%s%)": nats.sum(), "(1;%s%) + (2;%s%) + (3;%s%)": nats[:-1].sum()}
    sentences = {"s": {1: "The", 2: "dogs ", 3: "bark."}}
    for expression, total in wanted.items():
        formula = parse_formula(f"{expression} = {total / math.log(2)}")
        [verdict] = judge(
            [Item("x", "1", "x", sentences, formula)],
            tokenizer,
            partial(score_each, model, start_id=tokenizer.start_id),
        )
        assert verdict.correct


def test_the_table_of_items() -> None:
    """Costs: . 2, The 3, bark 4, barks 5, dog 6, dogs 7, see 8, the 9, themselves 10, <eos> 1, all others 0."""
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["The dogs see themselves . the dog barks bark\n"])
    files = [GOLDEN / name for name in ("blimp.jsonl", "simple_agreement.tsv", "reflexive.json")]
    items = [item for file in files for item in read_items(file, None, str)]
    result = measure_accuracy(items, tokenizer, ids_as_nats, "runs/x", None)
    rows = [{**vars(verdict), "file": Path(verdict.file).name} for verdict in result.verdicts]
    assert "\n".join(to_tsv(rows, list(rows[0]))) + "\n" == (GOLDEN / "items.tsv").read_text("utf-8")
